"""BatchRunner: runs micro-batches through the model, and postprocesses jobs when they are complete.

Isolates failures: a batch that fails is split until each failing window is alone, so that a bad
event costs no other event its outcome. Knows no queue and no thread; any thread may call it.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

from schemas.answer import ModelInfo
from schemas.rejection import Reason, Rejected
from worker.inference.embedding.pooling import VectorError
from worker.inference.job import Job, WindowItem
from worker.inference.onnx_session import OnnxSession, Outputs
from worker.inference.question_answering.spans import LogitsError
from worker.observability import metrics
from worker.observability.timings import BatchTiming

_INFERENCE = metrics.STAGE.labels("inference")
_POSTPROCESS = metrics.STAGE.labels("postprocess")


class BatchRunner:
    """Runs windows on one session, and postprocesses the jobs whose windows have all run."""

    def __init__(self, session: OnnxSession, model: ModelInfo) -> None:
        self._session = session
        self._model = model
        self._lock = threading.Lock()  # guards `Job.remaining`

    def run(self, items: Sequence[WindowItem]) -> int:
        """Run windows together and return the number of tokens that ran, padding excluded.

        Leaves out windows of jobs that are done: cancelled, or failed in another window.
        """
        items = [item for item in items if not item.job.future.done()]
        if not items:
            return 0
        windows = [item.window for item in items]
        began, began_at = time.perf_counter(), time.time_ns()
        try:
            outputs = self._session.run(windows)
        except Exception as error:
            if len(items) > 1:
                metrics.BATCH_SPLITS.inc()
                half = len(items) // 2
                return self.run(items[:half]) + self.run(items[half:])
            items[0].job.reject(_model_failed(error))
            return 0
        seconds = time.perf_counter() - began
        _INFERENCE.observe(seconds)
        tokens = sum(len(window) for window in windows)
        padded = max(map(len, windows)) * len(windows)
        metrics.WINDOWS.inc(len(windows))
        metrics.INFERENCE_TOKENS.inc(tokens)
        metrics.PADDING_TOKENS.inc(padded - tokens)
        jobs = {id(item.job): item.job for item in items}
        timing = BatchTiming(
            began=began_at,
            ended=began_at + int(seconds * 1e9),
            events=len(jobs),
            windows=len(windows),
            padded_tokens=padded,
        )
        for job in jobs.values():
            job.timings.batches.append(timing)
        for item, output in zip(items, outputs, strict=True):
            self._add_output(item, output)
        return tokens

    def _add_output(self, item: WindowItem, outputs: Outputs) -> None:
        job = item.job
        job.add_output(item.index, outputs)
        with self._lock:
            job.remaining -= 1
            if job.remaining:
                return
        self.postprocess(job)

    def postprocess(self, job: Job[Any]) -> None:
        """Resolve the future of a job whose windows have all run."""
        began, began_at = time.perf_counter(), time.time_ns()
        try:
            outcome = job.postprocess(self._model)
        except (LogitsError, VectorError) as error:
            job.reject(_model_failed(error))
            return
        except Exception as error:
            job.reject(internal_error("postprocess", error))
            return
        seconds = time.perf_counter() - began
        _POSTPROCESS.observe(seconds)
        job.add_stage("postprocess", began_at, seconds)
        job.complete(outcome)


def internal_error(stage: str, error: BaseException) -> Rejected:
    """The rejection of an event on which the worker itself failed; `error` is its cause."""
    rejected = Rejected(Reason.INTERNAL_ERROR, f"{stage}: {type(error).__name__}: {error}")
    rejected.__cause__ = error
    return rejected


def _model_failed(error: Exception) -> Rejected:
    return Rejected(Reason.MODEL_FAILED, f"{type(error).__name__}: {error}")
