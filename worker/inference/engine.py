"""InferenceEngine: `submit(event)` returns a future of the event's outcome and its timings.

N equal threads each take the next piece of work: an event to preprocess if one waits, else the
next batch of windows to run. Preprocessing comes first, so that the batcher sees the real length
of everything that waits. Events may wait in several queues, which share the threads by weight
(`work_queues.py`). The engine does not bound how much waits: the caller does, by means of
`pending_tokens`, `tokens_per_second` and `on_progress`. The bundle's task decides which events the
engine takes; see `tasks.py`.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np
import structlog

from schemas.event import Event, Outcome
from worker.inference.batch_runner import BatchRunner
from worker.inference.batching import Batch, Batcher
from worker.inference.deadline import Deadline
from worker.inference.job import Job, WindowItem, start_jobs
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.pending_tokens import PendingTokens
from worker.inference.preprocessing import preprocess
from worker.inference.result import R, ReadResult
from worker.inference.tasks import create_task_adapter
from worker.inference.throughput import ThroughputEstimator
from worker.inference.window import Window
from worker.inference.work_queues import WorkQueues
from worker.models.bundle import Bundle, BundleError
from worker.observability import metrics

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 3.0
"""Time for all threads together to end. Less than QA_TERMINATION_GRACE_PERIOD_SECONDS leaves after
QA_SHUTDOWN_SECONDS, with their defaults."""


class InferenceEngine:
    """Runs events through one model. Call `start` once, and `close` at the end."""

    def __init__(
        self,
        bundle: Bundle,
        options: InferenceOptions,
        *,
        weights: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Opens the model. `weights` are those of the queues, 1 or more; a queue that is not named
        has 1. Deadlines are compared with `clock`, Unix time in seconds.

        Raises `BundleError`.
        """
        manifest = bundle.manifest
        limit = options.max_tokens or manifest.max_tokens
        if limit > manifest.max_tokens:
            raise BundleError(
                f"windows of {limit} tokens are too long: {bundle.name} takes {manifest.max_tokens}"
            )
        if options.max_batch_tokens is not None and options.max_batch_tokens < limit:
            raise BundleError(
                f"a batch of {options.max_batch_tokens} tokens does not hold a window of {limit}"
            )
        self.options = options.for_model(manifest)
        """As they take effect with this model."""
        self._max_tokens = limit
        self._max_batch_tokens = options.max_batch_tokens or limit
        self._max_items = None if manifest.batch_invariant else 1
        self._task = create_task_adapter(bundle, options, max_tokens=limit)
        self._session = OnnxSession(
            bundle, SessionOptions(options.threads, options.providers, options.provider_fallback)
        )
        self.model = bundle.model_info(self._session.provider)
        self._runner = BatchRunner(self._session, self.model)
        self._queues: WorkQueues[Job[Any], WindowItem] = WorkQueues(
            self._new_batcher, weights or {}
        )
        self._clock = clock
        self._pending = PendingTokens()
        self._throughput = ThroughputEstimator(options.threads)
        # Guards the queues and the throughput.
        self._work = threading.Condition()
        self._closing = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "InferenceEngine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the threads; each runs the largest possible batch once.

        So the process has its full memory from the start, and `tokens_per_second` is known.
        Blocks until all threads have done so. Raises `BundleError` if the model fails on it.
        """
        metrics.THREADS.set(self.options.threads)
        warm: list[Future[None]] = [Future() for _ in range(self.options.threads)]
        for number, ready in enumerate(warm):
            thread = threading.Thread(
                target=self._serve, args=(ready,), name=f"qa-inference-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        try:
            for ready in warm:
                ready.result()
        except Exception as error:
            self.close()
            raise BundleError(f"{self.model.name}: the model does not run: {error}") from error

    def close(self) -> None:
        """Stop the threads after the batches in progress; cancel the futures of all other jobs."""
        with self._work:
            self._closing = True
            waiting: dict[int, Job[Any]] = {}
            while (taken := self._queues.take(0.0)) is not None:
                _, work = taken
                jobs = [item.job for item in work.items] if isinstance(work, Batch) else [work]
                waiting.update((id(job), job) for job in jobs)
            self._work.notify_all()
        for job in waiting.values():
            job.future.cancel()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            # A thread that hangs in the model must not hang the process: it is a daemon.
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def event_type(self) -> type[Event[Outcome]]:
        """The type of events that `submit` takes."""
        return self._task.event_type

    @property
    def pending_tokens(self) -> int:
        """Tokens of the events whose futures are not done; estimated until preprocessed."""
        return self._pending.total

    def pending_tokens_of(self, queue: str) -> int:
        """The part of `pending_tokens` that is in one queue."""
        return self._pending.of(queue)

    @property
    def tokens_per_second(self) -> float:
        """Measured rate at which `pending_tokens` falls while all threads are busy; 0 before
        `start`.
        """
        return self._throughput.tokens_per_second

    @property
    def min_pending_tokens(self) -> int:
        """Tokens that keep all threads busy: each runs a full batch, and another one waits."""
        return 2 * self.options.threads * self._max_batch_tokens

    @property
    def on_progress(self) -> Callable[[], None] | None:
        """Called after `pending_tokens` has fallen, on the engine's threads and on threads that
        cancel a future. Must return soon and must not raise. Any thread may set it.
        """
        return self._pending.on_progress

    @on_progress.setter
    def on_progress(self, callback: Callable[[], None] | None) -> None:
        self._pending.on_progress = callback

    def submit(self, event: Event[R], *, queue: str = "") -> Future[ReadResult[R]]:
        """Return a future of the result; it raises `Rejected` for an event that is rejected.

        While several queues have events, each gets the threads in proportion to its weight.
        Never blocks. Futures finish in any order. Cancelling one drops what has not been tokenized
        and the windows that have not run. An event whose `expires_at` passes before its first
        window is taken for a batch is rejected. Events submitted before `start` wait for it. Raises
        `TypeError` unless `event` is an `event_type`, and `RuntimeError` after `close`.
        """
        if not isinstance(event, self.event_type):
            raise TypeError(
                f"{self.model.name} reads a {self.event_type.__name__}, not a "
                f"{type(event).__name__}"
            )
        job: Job[R] = self._task.make(event)
        job.deadline = Deadline.of(event)
        job.queue = job.reservation.queue = queue
        # The first callback: callbacks that the caller adds see the tokens released already.
        reservation = job.reservation
        job.future.add_done_callback(lambda _: self._pending.release(reservation))
        with self._work:
            if self._closing:
                raise RuntimeError("the engine is closed")
            tokens = job.estimated_tokens
            self._pending.reserve(reservation, tokens)
            self._queues.add_job(queue, job, tokens)
            self._work.notify()
        return job.future

    def _new_batcher(self) -> Batcher[WindowItem]:
        return Batcher(
            max_tokens=self._max_batch_tokens,
            max_padding=self.options.max_padding,
            max_items=self._max_items,
        )

    # On the threads.

    def _serve(self, warm: Future[None]) -> None:
        try:
            self._warm_up()
        except BaseException as error:
            warm.set_exception(error)
            return
        warm.set_result(None)
        busy_seconds = 0.0
        while (work := self._next_work()) is not None:
            began = time.perf_counter()
            tokens = 0
            try:
                tokens = work()
            except Exception:
                # A bug. The thread goes on. The future of this work stays open, so that the
                # watchdog reports a stall; this line says why.
                log.exception("inference_thread_failed")
            busy_seconds += time.perf_counter() - began
            if tokens:
                with self._work:
                    self._throughput.add(tokens, busy_seconds)
                busy_seconds = 0.0

    def _warm_up(self) -> None:
        count = self._max_batch_tokens // self._max_tokens if self._max_items is None else 1
        ids = np.ones(self._max_tokens, dtype=np.int64)
        window = Window(ids=ids, types=np.zeros_like(ids), offset=1, first=0, count=len(ids) - 2)
        began = time.perf_counter()
        for outputs in self._session.run([window] * count):
            self._task.check(window, outputs)
        with self._work:
            self._throughput.add(count * self._max_tokens, time.perf_counter() - began)

    def _next_work(self) -> Callable[[], int] | None:
        """The next piece of work, which returns the number of tokens that it ran through the model.

        Waits until there is one. Returns `None` when the engine closes.
        """
        with self._work:
            while True:
                if (taken := self._queues.take(time.monotonic())) is not None:
                    queue, work = taken
                    if not isinstance(work, Batch):
                        return partial(self._preprocess, work)
                    items, expired = start_jobs(work.items, self._clock())
                    metrics.QUEUE_WAIT.observe(work.oldest_wait)
                    if items:
                        metrics.BATCH_WINDOWS.observe(len(items))
                        longest = max(len(item.window) for item in items)
                        metrics.BATCH_TOKENS.observe(longest * len(items))
                    return partial(self._run, queue, items, expired)
                if self._closing:
                    return None
                self._work.wait()

    def _run(self, queue: str, items: Sequence[WindowItem], expired: Sequence[Job[Any]]) -> int:
        # Without the lock: the futures' callbacks are the caller's.
        for job in expired:
            job.expire()
        tokens = self._runner.run(items)
        metrics.QUEUE_TOKENS.labels(queue).inc(tokens)
        return tokens

    def _preprocess(self, job: Job[Any]) -> int:
        if job.future.done():  # cancelled
            return 0
        if job.has_expired(self._clock()):
            job.expire()
            return 0
        if not preprocess(job):
            return 0
        if not job.windows:
            self._runner.postprocess(job)
            return 0
        self._pending.reserve(job.reservation, sum(len(window) for window in job.windows))
        now = time.monotonic()
        with self._work:
            if job.future.done():
                return 0
            for index, window in enumerate(job.windows):
                self._queues.add_window(job.queue, WindowItem(job, index), len(window), now)
            self._work.notify(len(job.windows))
        return 0
