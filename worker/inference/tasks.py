"""Creates the task adapter of a bundle. A third task would be a line here."""

from worker.inference.embedding.job import EmbeddingTask
from worker.inference.job import TaskAdapter
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.job import QuestionAnsweringTask
from worker.models.bundle import Bundle
from worker.models.manifest import Task


def create_task_adapter(
    bundle: Bundle, options: InferenceOptions, *, max_tokens: int
) -> TaskAdapter:
    """`max_tokens` bounds a window. Raises `BundleError`."""
    match bundle.manifest.task:
        case Task.QUESTION_ANSWERING:
            return QuestionAnsweringTask(bundle, options, max_tokens=max_tokens)
        case Task.EMBEDDINGS:
            return EmbeddingTask(bundle, options, max_tokens=max_tokens)
