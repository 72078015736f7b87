"""Smoke test of a bundle: opens it as the engine does and runs windows on the CPU.

Finds files that match the manifest but do not belong together, and outputs that the task cannot
read.
"""

import numpy as np

from worker.inference.job import TaskAdapter
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.tasks import create_task_adapter
from worker.inference.tokenizer import open_tokenizer
from worker.inference.window import Window
from worker.model_tools.batch_invariance import is_batch_invariant
from worker.models.bundle import Bundle, BundleError

_SHORT = 8
"""Tokens of the short window. Some exports only run with one fixed length."""


def smoke_test(bundle: Bundle) -> None:
    """Run a short and the longest window, filled with the tokenizer's last token.

    Raises `BundleError` if the task cannot use the tokenizer or the outputs, if the tokenizer has
    more tokens than the model, or if the model has fewer positions than its configuration says.
    """
    _open_and_run(bundle)


def measure_batch_invariance(bundle: Bundle) -> bool:
    """The smoke test, and then whether the windows of a batch leave each other's outputs alone.

    Raises `BundleError`.
    """
    session, vocabulary = _open_and_run(bundle)
    return is_batch_invariant(session, max_tokens=bundle.manifest.max_tokens, vocabulary=vocabulary)


def _open_and_run(bundle: Bundle) -> tuple[OnnxSession, int]:
    """The session, and the number of token ids."""
    limit = bundle.manifest.max_tokens
    task = create_task_adapter(bundle, InferenceOptions(threads=1), max_tokens=limit)
    session = OnnxSession(bundle, SessionOptions())
    last = max(open_tokenizer(bundle.tokenizer_file).get_vocab().values())
    for length in (_SHORT, limit):
        _run(session, task, length, last)
    return session, last + 1


def _run(session: OnnxSession, task: TaskAdapter, length: int, token: int) -> None:
    window = Window(
        ids=np.full(length, token, np.int64),
        types=np.zeros(length, np.int64),
        offset=1,
        first=0,
        count=length - 2,
    )
    window_text = f"{session.model_file}: {length} tokens with the id {token}"
    try:
        outputs = session.run([window])[0]
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{window_text}, the tokenizer's last, do not run: {reason}") from None
    try:
        task.check(window, outputs)
    except ValueError as error:
        raise BundleError(f"{window_text} give {error}") from None
    if not all(np.isfinite(output).all() for output in outputs):
        raise BundleError(f"{window_text} give numbers that are not finite")
