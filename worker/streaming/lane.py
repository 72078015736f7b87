"""One assigned partition, from assignment to revocation: records in, outcomes out in their order.

Events are read side by side and finish in any order; a lane publishes what became of them in
the order of their offsets. It belongs to one assignment: once closed, whatever still comes in
for it is stale and counts for nothing.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

import structlog

from schemas.event import Event, Outcome
from schemas.rejection import Reason, Rejected, is_replay
from worker.observing import metrics
from worker.observing.health import Health
from worker.streaming.breaker import Breaker
from worker.streaming.inflight import InFlight
from worker.streaming.ledger import Ledger
from worker.streaming.messages import (
    Incoming,
    dead_letter,
    open_record,
    outcome_record,
    without_value,
)
from worker.streaming.outbox import Outbox, Outgoing

INLINE_BYTES = 64 * 1024
"""JSON up to this size is handled on the event loop, in well under a millisecond; what is larger
goes to a thread, since a loop that stands still sends no heartbeats."""

_DECODE = metrics.STAGE.labels("decode")
_PUBLISH = metrics.STAGE.labels("publish")
_TOTAL = metrics.STAGE.labels("total")

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Outcome)


class Reading(Protocol):
    """What streaming needs of a reader."""

    @property
    def pending_tokens(self) -> int: ...

    @property
    def event_type(self) -> type[Event[Outcome]]:
        """What it reads."""

    def submit(self, event: Event[R]) -> "Future[R]": ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What the lanes of a session use together."""

    reader: Reading
    outbox: Outbox
    in_flight: InFlight
    health: Health
    breaker: Breaker
    decoders: Executor
    answers_topic: str
    dead_letters_topic: str
    max_record_bytes: int
    fail: Callable[[BaseException], None]
    """Called when an outcome cannot be published: the session is over."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is published for a record; `reason` if that is a dead letter."""

    outgoing: Outgoing
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A record in flight."""

    record: Incoming
    outcome: "asyncio.Task[_Outcome]"
    taken: float


class Lane:
    """In order out of one partition. Everything here happens on the event loop."""

    def __init__(self, topic: str, partition: int, shared: Shared) -> None:
        self.ledger = Ledger()
        self.committed: int | None = None
        """What the group has for this partition, as far as this lane knows."""
        self._shared = shared
        self._log = structlog.get_logger(__name__).bind(topic=topic, partition=partition)
        self._records = metrics.RECORDS.labels(topic, str(partition))
        self._answers = metrics.ANSWERS.labels(topic, str(partition))
        self._entries: dict[int, _Entry] = {}  # by offset: taken, not acknowledged
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._publisher = asyncio.create_task(self._publish())
        self._publisher.add_done_callback(self._stopped)

    def take(self, record: Incoming) -> None:
        """`record` is in flight from now on; what becomes of it is published in its turn."""
        if not self.ledger.take(record.offset):
            return
        self._records.inc()
        self._shared.in_flight.enter(record.size)
        self._idle.clear()
        entry = _Entry(record, asyncio.create_task(self._settle(record)), time.perf_counter())
        self._entries[record.offset] = entry
        self._queue.put_nowait(entry)

    async def drain(self) -> None:
        """Wait until nothing is in flight."""
        await self._idle.wait()

    def close(self) -> None:
        """The partition is no longer ours: drop what is in flight, whoever owns it reads it again.

        Reading stops too: cancelling reaches the reader's futures.
        """
        self.ledger.close()
        self._publisher.cancel()
        for entry in self._entries.values():
            entry.outcome.cancel()
            self._shared.in_flight.leave(entry.record.size)
        self._entries.clear()
        self._idle.set()

    # From a record to what is published for it.

    async def _settle(self, record: Incoming) -> _Outcome:
        shared = self._shared
        name = record.default_id
        try:
            began = time.perf_counter()
            envelope = await self._off_loop(
                record,
                open_record,
                shared.reader.event_type,
                record,
                max_bytes=shared.max_record_bytes,
            )
            _DECODE.observe(time.perf_counter() - began)
            name = envelope.event.id or name
            outcome = await asyncio.wrap_future(shared.reader.submit(envelope.event))
            outgoing = await self._off_loop(
                record, outcome_record, record, envelope.mode, outcome, shared.answers_topic
            )
            if shared.outbox.fits(outgoing):
                self._log.debug("answered", offset=record.offset, id=name, type=outcome.TYPE)
                return _Outcome(outgoing, None)
            raise Rejected(
                Reason.ANSWER_TOO_LARGE,
                f"the outcome takes {outgoing.size} bytes, more than {outgoing.topic} allows",
            )
        except Rejected as rejected:
            return self._reject(record, name, rejected)

    async def _off_loop(
        self, record: Incoming, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `step` where a record of this size belongs."""
        if record.size <= INLINE_BYTES:
            return step(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._shared.decoders, partial(step, *args, **kwargs))

    def _reject(self, record: Incoming, name: str, rejected: Rejected) -> _Outcome:
        event = {"offset": record.offset, "id": name, "reason": str(rejected.reason)}
        self._log.warning("rejected", **event, detail=rejected.detail, exc_info=rejected.__cause__)
        letter = dead_letter(record, rejected, self._shared.dead_letters_topic)
        if not self._shared.outbox.fits(letter):
            self._log.error("dead_letter_without_value", **event, bytes=record.size)
            letter = without_value(letter)
        return _Outcome(letter, rejected.reason)

    # Publishing, in order.

    async def _publish(self) -> None:
        while True:
            entry = await self._queue.get()
            outcome = await entry.outcome
            # What trips it is not published, and so not committed. A question that was sent again
            # from the dead letters and fails again goes back to where it was: that counts nothing.
            if not is_replay(entry.record.headers):
                self._shared.breaker.count(outcome.reason)
            began = time.perf_counter()
            acknowledged = await self._shared.outbox.send(outcome.outgoing)
            acknowledged.add_done_callback(partial(self._acknowledged, entry, outcome, began))

    def _acknowledged(
        self, entry: _Entry, outcome: _Outcome, began: float, future: "asyncio.Future[Any]"
    ) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            self._shared.fail(error)
            return
        if not self.ledger.finish(entry.record.offset):
            metrics.STALE.inc()
            return
        del self._entries[entry.record.offset]
        self._shared.in_flight.leave(entry.record.size)
        self._shared.health.progressed()
        if outcome.reason is None:
            self._answers.inc()
        else:
            metrics.REJECTIONS.labels(str(outcome.reason)).inc()
        now = time.perf_counter()
        _PUBLISH.observe(now - began)
        _TOTAL.observe(now - entry.taken)
        if not self._entries:
            self._idle.set()

    def _stopped(self, publisher: "asyncio.Task[None]") -> None:
        if not publisher.cancelled() and (error := publisher.exception()) is not None:
            self._shared.fail(error)
