"""AnswerCache: events that were read before, or are being read now, do not run again.

An answer is bit-equal whatever else is in its batch, so the outcome of an equal event is the
outcome (`key.py` says what is equal). The first event with a key runs on the engine; the others
wait for its outcome (a single flight, as Go's x/sync/singleflight). Outcomes are kept, rejections
are not. If the first one fails or is cancelled, one that waits runs in its place.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, Protocol
from weakref import ref

from schemas.answer import ModelInfo
from schemas.event import Event
from schemas.rejection import Reason, Rejected
from worker.inference.cache.key import CacheKeys
from worker.inference.cache.lru import LruCache
from worker.inference.cache.stored_outcome import restore, store
from worker.inference.options import InferenceOptions
from worker.inference.result import R, ReadResult
from worker.observability import metrics
from worker.observability.timings import CACHE, ReadTimings, StageTiming

MAX_RUNNING = 64
"""Equal events that run at once after two failures. Their number is bounded because events that
wait hold no tokens: all at once, they could occupy the engine for minutes."""

_HITS, _WAITS, _MISSES = (
    metrics.CACHE_LOOKUPS.labels(result) for result in ("hit", "wait", "miss")
)


class ReadingEngine(Protocol):
    """The engine whose outcomes are kept."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def options(self) -> InferenceOptions: ...

    def submit(self, event: Event[R], /, *, queue: str = "") -> "Future[ReadResult[R]]": ...


@dataclass(frozen=True, slots=True)
class _Waiter(Generic[R]):
    """An event that waits for the outcome of an equal one."""

    event: Event[R]
    began: int
    """Nanoseconds since the epoch."""
    future: "Future[ReadResult[R]]" = field(default_factory=Future)


@dataclass(slots=True, eq=False)
class _Flight:
    """Equal events: one that runs on the engine, and those that wait for its outcome."""

    key: bytes
    queue: str
    waiters: "deque[_Waiter[Any]]" = field(default_factory=deque)
    running: int = 1
    failures: int = 0

    def next_waiter(self, *, newest: bool) -> "_Waiter[Any] | None":
        """Take the oldest or the newest that still waits out of the queue, with the cancelled ones
        that come before it. None if there is none.
        """
        while self.waiters:
            waiter = self.waiters.pop() if newest else self.waiters.popleft()
            if not waiter.future.done():
                return waiter
        return None


class AnswerCache:
    """Answers events from memory, or by its engine. Thread-safe.

    Bounds the memory of the outcomes that it keeps. What waits is bounded by the caller, as for the
    engine; an event that waits adds nothing to the engine's `pending_tokens`.
    """

    def __init__(self, engine: ReadingEngine, *, max_bytes: int) -> None:
        self._engine = engine
        self._keys = CacheKeys(engine.model, engine.options)
        self._kept = LruCache(max_bytes)
        # By queue too: an event must not wait for an equal one in a queue that is served later.
        self._flights: dict[tuple[str, bytes], _Flight] = {}
        self._lock = threading.Lock()  # guards both; no future is completed under it

    def key(self, event: Event[Any]) -> bytes:
        """The event's key for `submit`. Any thread may make it."""
        return self._keys.key(event)

    def submit(self, event: Event[R], key: bytes, *, queue: str = "") -> "Future[ReadResult[R]]":
        """As `InferenceEngine.submit`; `key` is that of the event."""
        began = time.time_ns()
        with self._lock:
            kept = self._kept.get(key)
            flight = self._flights.get((queue, key))
            if kept is None and flight is None:
                started = self._flights[queue, key] = _Flight(key, queue)
            elif kept is None and flight is not None:
                waiter = _Waiter(event, began)
                flight.waiters.append(waiter)
                _WAITS.inc()
                return waiter.future
        if kept is None:
            _MISSES.inc()
            return self._lead(started, event)
        _HITS.inc()
        done: Future[ReadResult[R]] = Future()
        done.set_result(self._result(kept, event, "hit", began))
        return done

    def _lead(self, flight: _Flight, event: Event[R]) -> "Future[ReadResult[R]]":
        """Run the event on the engine, for all of its flight. Raises what the engine raises."""
        try:
            future = self._engine.submit(event, queue=flight.queue)
        except BaseException:
            self._give_up(flight)
            raise
        future.add_done_callback(partial(self._land, flight))
        return future

    def _land(self, flight: _Flight, future: "Future[ReadResult[Any]]") -> None:
        """The event that ran is done; on the thread that completed or cancelled it."""
        stored = None
        error = None if future.cancelled() else future.exception()
        try:
            if error is None and not future.cancelled():
                stored = store(future.result().outcome)
        finally:  # whatever happens: nothing may wait for ever
            if stored is None:
                expired = isinstance(error, Rejected) and error.reason is Reason.EXPIRED
                self._replace(flight, expired=expired, failed=error is not None and not expired)
            else:
                self._complete(flight, stored)

    def _complete(self, flight: _Flight, stored: bytes) -> None:
        with self._lock:
            waiters = self._end(flight)
            evicted = self._kept.put(flight.key, stored)
            metrics.CACHE_BYTES.set(self._kept.bytes)
        metrics.CACHE_EVICTIONS.inc(evicted)
        for waiter in waiters:
            if not waiter.future.done():
                _settle(
                    waiter.future,
                    partial(self._result, stored, waiter.event, "wait", waiter.began),
                )

    def _replace(self, flight: _Flight, *, expired: bool, failed: bool) -> None:
        """Without an outcome: the next event that waits runs in the place of the one that ran.

        After a second failure MAX_RUNNING of them run at once: if the event itself is what fails,
        each would wait for the failures of all before it. An expired event, or a cancelled one, has
        not failed: that says nothing of an equal event. After an expired one the newest runs, whose
        deadline is probably the last.
        """
        successors: list[_Waiter[Any]] = []
        with self._lock:
            flight.running -= 1
            flight.failures += failed
            allowed = 1 if flight.failures < 2 else MAX_RUNNING
            while (
                flight.running < allowed
                and (waiter := flight.next_waiter(newest=expired)) is not None
            ):
                flight.running += 1
                successors.append(waiter)
            if not flight.running:
                self._end(flight)
        for waiter in successors:
            self._run(waiter, flight)

    def _run(self, waiter: _Waiter[R], flight: _Flight) -> None:
        """The event of `waiter` runs now; its future gets the result, and passes a cancel on."""
        try:
            running = self._lead(flight, waiter.event)
        except RuntimeError:  # the engine is closed, which cancels what it has not read
            waiter.future.cancel()
            return
        running.add_done_callback(partial(_copy, waiter.future))
        # Weak: two futures that refer to each other would wait for the garbage collector.
        waiter.future.add_done_callback(partial(_cancel, ref(running)))

    def _give_up(self, flight: _Flight) -> None:
        """The engine takes no event."""
        with self._lock:
            waiters = self._end(flight)
        for waiter in waiters:
            waiter.future.cancel()

    def _end(self, flight: _Flight) -> "deque[_Waiter[Any]]":
        """Nothing waits for the flight any more; returns what did. The caller holds the lock."""
        if self._flights.get((flight.queue, flight.key)) is flight:
            del self._flights[flight.queue, flight.key]
        waiters, flight.waiters = flight.waiters, deque()
        return waiters

    def _result(
        self, stored: bytes, event: Event[R], how: Literal["hit", "wait"], began: int
    ) -> ReadResult[R]:
        outcome = restore(stored, event, self._engine.model)
        stage = StageTiming(CACHE, began, time.time_ns())
        return ReadResult(outcome, ReadTimings(stages=[stage], cache=how))


def _settle(future: "Future[ReadResult[R]]", make: Callable[[], ReadResult[R]]) -> None:
    """Complete the future with what `make` returns or raises, unless it was cancelled."""
    try:
        result = make()
    except Exception as error:
        with suppress(InvalidStateError):
            future.set_exception(error)
        return
    with suppress(InvalidStateError):
        future.set_result(result)


def _copy(to: "Future[ReadResult[R]]", done: "Future[ReadResult[R]]") -> None:
    if done.cancelled():
        to.cancel()
    else:
        _settle(to, done.result)


def _cancel(running: "ref[Future[ReadResult[Any]]]", waiting: "Future[ReadResult[Any]]") -> None:
    future = running()
    if future is not None and waiting.cancelled():
        future.cancel()
