"""`submit(event)` gives a future of its outcome: windows, batches and session, on threads.

What kind of event it is, a question or a text, is the bundle's choice; the jobs know the rest. N
equal threads, each of which takes the next piece of work: an event to encode if one waits, else
the next batch of windows to run. Encoding comes first, so that the batcher sees the real
lengths of everything that waits; how much that is, is bounded by whoever submits (see
`pending_tokens`).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import structlog

from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from worker.inference.batching import Batcher
from worker.inference.embedding.pooling import VectorError
from worker.inference.failures import internal_error, model_failed
from worker.inference.job import Job, R, TokenReservation, WindowItem
from worker.inference.onnx_session import OnnxSession, Outputs, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import LogitsError
from worker.inference.tasks import create_task_adapter
from worker.inference.window import Window
from worker.models.bundle import Bundle, BundleError
from worker.observability import metrics
from worker.observability.record_trace import RecordTrace, record_batch

log = structlog.get_logger(__name__)

_ENCODE = metrics.STAGE.labels("preprocess")
_RUN = metrics.STAGE.labels("inference")
_POSTPROCESS = metrics.STAGE.labels("postprocess")

CLOSE_SECONDS = 3.0
"""For all threads together; less than what the pod's grace leaves of the shutdown's time."""


class InferenceEngine:
    """Reads events with one model. `start` before `submit`, `close` at the end."""

    def __init__(self, bundle: Bundle, defaults: InferenceOptions) -> None:
        """Opens the model. Raises `BundleError`."""
        manifest = bundle.manifest
        limit = defaults.max_tokens or manifest.max_tokens
        if limit > manifest.max_tokens:
            raise BundleError(
                f"windows of {limit} tokens are too long: {bundle.name} takes {manifest.max_tokens}"
            )
        if defaults.max_batch_tokens is not None and defaults.max_batch_tokens < limit:
            raise BundleError(
                f"a batch of {defaults.max_batch_tokens} tokens does not hold a window of {limit}"
            )
        self.defaults = defaults
        self._max_tokens = limit
        self._max_batch_tokens = defaults.max_batch_tokens or limit
        self._max_items = None if manifest.batch_invariant else 1
        self._jobs = create_task_adapter(bundle, defaults, max_tokens=limit)
        self._session = OnnxSession(
            bundle,
            SessionOptions(
                callers=defaults.threads,
                providers=defaults.providers,
                fallback=defaults.provider_fallback,
            ),
        )
        self.model = bundle.model_info(self._session.provider)
        self._batcher: Batcher[WindowItem] = Batcher(
            max_tokens=self._max_batch_tokens,
            max_padding=defaults.max_padding,
            max_items=self._max_items,
        )
        self._arrived: deque[Job[Any]] = deque()
        self._pending = 0
        self._work = threading.Condition()
        self._closing = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "InferenceEngine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the threads; each runs the largest batch once, so that memory is known now.

        Blocks until all have. Raises `BundleError` where the model cannot run it.
        """
        metrics.THREADS.set(self.defaults.threads)
        warm: list[Future[None]] = [Future() for _ in range(self.defaults.threads)]
        for number, ready in enumerate(warm):
            thread = threading.Thread(
                target=self._serve, args=(ready,), name=f"qa-reader-{number}", daemon=True
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
        """Stop the threads after the batches in progress; what still waits is cancelled."""
        with self._work:
            self._closing = True
            waiting = {id(job): job for job in self._arrived}
            self._arrived.clear()
            while (batch := self._batcher.take(0.0)) is not None:
                waiting.update((id(piece.job), piece.job) for piece in batch.items)
            self._work.notify_all()
        for job in waiting.values():
            job.future.cancel()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            # A thread that hangs in the model must not hang the process: it is a daemon.
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def event_type(self) -> type[Event[Outcome]]:
        """What `submit` takes: the bundle's task decides."""
        return self._jobs.event_type

    @property
    def pending_tokens(self) -> int:
        """Tokens that were submitted and are not settled, estimated where not yet encoded."""
        return self._pending

    def submit(self, event: Event[R], journey: RecordTrace | None = None) -> Future[R]:
        """A future of the outcome, or of `Rejected`. Never blocks; order is not promised. The steps
        are noted in `journey`.

        Cancelling the future drops the windows that have not run. Raises `TypeError` for an event
        that is no `event_type`, and `RuntimeError` after `close`. What comes before `start` waits
        for it.
        """
        if not isinstance(event, self.event_type):
            raise TypeError(
                f"{self.model.name} reads a {self.event_type.__name__}, not a "
                f"{type(event).__name__}"
            )
        job: Job[R] = self._jobs.make(event)
        job.journey = journey
        # The first of the callbacks: those added later find the tokens already gone.
        share = job.share
        job.future.add_done_callback(lambda _: self._release(share))
        with self._work:
            if self._closing:
                raise RuntimeError("the reader is closed")
            self._set_pending(share, job.estimate)
            self._arrived.append(job)
            self._work.notify()
        return job.future

    # The threads.

    def _serve(self, warm: "Future[None]") -> None:
        try:
            self._warm_up()
        except BaseException as error:
            warm.set_exception(error)
            return
        warm.set_result(None)
        while (task := self._next_task()) is not None:
            try:
                task()
            except Exception:
                # A bug. The thread goes on; that nothing comes of this work is seen by whoever
                # watches progress, and this says why.
                log.exception("inference_thread_failed")

    def _warm_up(self) -> None:
        count = self._max_batch_tokens // self._max_tokens if self._max_items is None else 1
        ids = np.ones(self._max_tokens, dtype=np.int64)
        window = Window(ids=ids, types=np.zeros_like(ids), offset=1, first=0, count=len(ids) - 2)
        for outputs in self._session.run([window] * count):
            self._jobs.check(window, outputs)

    def _next_task(self) -> Callable[[], None] | None:
        """What to do next; waits for it. `None` when the reader closes."""
        with self._work:
            while True:
                if self._arrived:
                    job = self._arrived.popleft()
                    return lambda: self._encode(job)
                batch = self._batcher.take(time.monotonic())
                if batch is not None:
                    metrics.QUEUE_WAIT.observe(batch.oldest_wait)
                    metrics.BATCH_WINDOWS.observe(len(batch.items))
                    metrics.BATCH_TOKENS.observe(batch.padded_tokens)
                    pieces = batch.items
                    return lambda: self._run(pieces)
                if self._closing:
                    return None
                self._work.wait()

    def _encode(self, job: Job[Any]) -> None:
        began, began_at = time.perf_counter(), time.time_ns()
        try:
            job.cut()
        except Rejected as rejected:
            # Without the frames it was raised in: they hold the job, whose future holds it.
            job.finish(rejected.with_traceback(None))
            return
        except BaseException as error:
            job.finish(internal_error("encode", error))
            return
        _ENCODE.observe(time.perf_counter() - began)
        if job.journey is not None:
            job.journey.step("encode", began_at)
        if not job.windows:
            self._complete(job)
            return
        now = time.monotonic()
        with self._work:
            if job.future.done():
                return
            self._set_pending(job.share, sum(len(window) for window in job.windows))
            for index, window in enumerate(job.windows):
                self._batcher.add(WindowItem(job, index), len(window), now)
            self._work.notify(len(job.windows))

    def _run(self, pieces: Sequence[WindowItem]) -> None:
        """Run a batch. One that fails is halved until the window that fails is alone."""
        pieces = [piece for piece in pieces if not piece.job.future.done()]
        if not pieces:
            return
        windows = [piece.window for piece in pieces]
        began, began_at = time.perf_counter(), time.time_ns()
        try:
            outputs = self._session.run(windows)
        except Exception as error:
            if len(pieces) > 1:
                metrics.BATCH_SPLITS.inc()
                self._run(pieces[: len(pieces) // 2])
                self._run(pieces[len(pieces) // 2 :])
            else:
                pieces[0].job.finish(model_failed(error))
            return
        _RUN.observe(time.perf_counter() - began)
        tokens = sum(len(window) for window in windows)
        padded = max(map(len, windows)) * len(windows)
        metrics.WINDOWS.inc(len(windows))
        metrics.INFERENCE_TOKENS.inc(tokens)
        metrics.PADDING_TOKENS.inc(padded - tokens)
        # Each once, however many of its windows ran.
        followed = {id(piece.job): piece.job.journey for piece in pieces if piece.job.journey}
        if followed:
            record_batch(
                list(followed.values()), began_at, windows=len(windows), padded_tokens=padded
            )
        for piece, output in zip(pieces, outputs, strict=True):
            self._collect(piece, output)

    def _collect(self, piece: WindowItem, outputs: Outputs) -> None:
        job = piece.job
        job.collect(piece.index, outputs)
        with self._work:
            job.left -= 1
            if job.left:
                return
        self._complete(job)

    def _complete(self, job: Job[Any]) -> None:
        """All windows are read."""
        began, began_at = time.perf_counter(), time.time_ns()
        outcome: Outcome | Rejected
        try:
            outcome = job.settle(self.model)
        except (LogitsError, VectorError) as error:
            outcome = model_failed(error)
        except Exception as error:
            outcome = internal_error(self._jobs.stage, error)
        _POSTPROCESS.observe(time.perf_counter() - began)
        if job.journey is not None:
            job.journey.step(self._jobs.stage, began_at)
        job.finish(outcome)

    def _release(self, share: TokenReservation) -> None:
        with self._work:
            self._set_pending(share, 0)

    def _set_pending(self, share: TokenReservation, tokens: int) -> None:
        """Under the lock."""
        self._pending += tokens - share.tokens
        share.tokens = tokens
        metrics.PENDING_TOKENS.set(self._pending)
