"""Which jobs a bundle's task asks for. A third task would be a line here."""

from worker.reading.bundle import Bundle
from worker.reading.job import Jobs
from worker.reading.manifest import Task
from worker.reading.options import ReadingDefaults
from worker.reading.question_job import QuestionJobs
from worker.reading.text_job import TextJobs


def open_jobs(bundle: Bundle, defaults: ReadingDefaults, *, max_tokens: int) -> Jobs:
    """`max_tokens` bounds a window. Raises `BundleError`."""
    match bundle.manifest.task:
        case Task.QUESTION_ANSWERING:
            return QuestionJobs(bundle, defaults, max_tokens=max_tokens)
        case Task.EMBEDDINGS:
            return TextJobs(bundle, defaults, max_tokens=max_tokens)
