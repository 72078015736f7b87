"""Whether a bundle does what the worker will ask of it: opened and run once, on the CPU.

A manifest can be true to its files and the files still not belong together.
"""

import numpy as np

from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.tokenizer import open_tokenizer, pair_template
from worker.inference.window import Window
from worker.models.bundle import Bundle, BundleError

_SHORT = 8
"""Tokens of a window that is not the longest: some exports have their length written into them."""


def smoke_test(bundle: Bundle) -> None:
    """Run a short window and the longest, all of the tokenizer's last token.

    Raises `BundleError` where the tokenizer is of another family, has tokens that the model does
    not know, or where the model's positions are fewer than its configuration says.
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
    asked = f"{bundle.model_file}: {length} tokens with the id {token}"
    try:
        outputs = session.run([window])[0]
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{asked}, the tokenizer's last, do not run: {reason}") from None
    for output in outputs:
        if len(output) != length:
            raise BundleError(f"{asked} give {len(output)} rows")
        if not np.isfinite(output).all():
            raise BundleError(f"{asked} give numbers that are not finite")
