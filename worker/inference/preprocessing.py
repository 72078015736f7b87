"""The first step of a job: its event to the windows that the model reads."""

import time
from typing import Any

from schemas.rejection import Rejected
from worker.inference.batch_runner import internal_error
from worker.inference.job import Job
from worker.observability import metrics

_PREPROCESS = metrics.STAGE.labels("preprocess")


def preprocess(job: Job[Any]) -> bool:
    """Cut the job's event into windows, and time it. Returns False for an event that is rejected:
    the job's future then has the rejection.
    """
    began, began_at = time.perf_counter(), time.time_ns()
    try:
        job.preprocess()
    except Rejected as rejected:
        # Without its traceback: the frames refer to the job, whose future refers to the error.
        job.reject(rejected.with_traceback(None))
        return False
    except BaseException as error:
        job.reject(internal_error("preprocess", error))
        return False
    seconds = time.perf_counter() - began
    _PREPROCESS.observe(seconds)
    job.add_stage("preprocess", began_at, seconds)
    return True
