"""Smoke test of a bundle: opens it and runs two windows on the CPU.

Finds files that match the manifest but do not belong together.
"""

import numpy as np

from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.tokenizer import open_tokenizer, pair_template
from worker.inference.window import Window
from worker.models.bundle import Bundle, BundleError

_SHORT = 8
"""Tokens of the short window. Some exports only run with one fixed length."""


def smoke_test(bundle: Bundle) -> None:
    """Run a short and the longest window, filled with the tokenizer's last token.

    Raises `BundleError` if the tokenizer is of another family or has more tokens than the model, or
    if the model has fewer positions than its configuration says.
    """
    tokenizer = open_tokenizer(bundle.tokenizer_file)
    pair_template(tokenizer, bundle.tokenizer_file)
    session = OnnxSession(bundle, SessionOptions())
    last = max(tokenizer.get_vocab().values())
    for length in (_SHORT, bundle.manifest.max_tokens):
        _run(bundle, session, length, last)


def _run(bundle: Bundle, session: OnnxSession, length: int, token: int) -> None:
    window = Window(
        ids=np.full(length, token, np.int64),
        types=np.zeros(length, np.int64),
        offset=1,
        first=0,
        count=length - 2,
    )
    window_text = f"{bundle.model_file}: {length} tokens with the id {token}"
    try:
        outputs = session.run([window])[0]
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{window_text}, the tokenizer's last, do not run: {reason}") from None
    for output in outputs:
        if len(output) != length:
            raise BundleError(f"{window_text} give {len(output)} rows")
        if not np.isfinite(output).all():
            raise BundleError(f"{window_text} give numbers that are not finite")
