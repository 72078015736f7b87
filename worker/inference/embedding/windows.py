"""Splits a text into windows of at most `max_tokens` tokens: [CLS] slice [SEP].

The windows do not overlap. Overlap is for answers that cross a border; a mean has none. And vectors
that are compared with each other must not depend on QA_DOC_STRIDE.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from schemas.rejection import Reason, Rejected
from worker.inference.text_encoder import TextEncoder
from worker.inference.tokenizer import open_tokenizer
from worker.inference.window import Window, window_starts
from worker.models.bundle import Bundle, BundleError

SPECIAL_TOKENS = 2
"""[CLS] text [SEP]"""


class TextWindower:
    """Splits texts for one bundle. Immutable: any thread may call it."""

    def __init__(self, bundle: Bundle, *, max_tokens: int) -> None:
        """`max_tokens` bounds a window, special tokens included. Raises `BundleError`."""
        tokenizer = open_tokenizer(bundle.tokenizer_file)
        self._cls, self._sep = _text_template(tokenizer, bundle.tokenizer_file)
        self._encoder = TextEncoder(tokenizer)
        self._max_tokens = max_tokens

    def split(self, text: str, *, max_windows: int) -> list[Window]:
        """The windows of the text, in order.

        Raises `Rejected` for a text without a token, and past `max_windows`.
        """
        capacity = self._max_tokens - SPECIAL_TOKENS
        tokens = self._encoder.encode(text, max_tokens=max_windows * capacity)
        ids = tokens.ids
        if not len(ids):
            raise Rejected(Reason.SCHEMA, "text: holds nothing that the model can read")
        needed = -(-len(ids) // capacity)
        if needed > max_windows:
            at_least = "" if tokens.whole else "at least "
            raise Rejected(
                Reason.TEXT_TOO_LONG,
                f"the text has {at_least}{len(ids)} tokens, which takes {at_least}{needed} windows "
                f"of {self._max_tokens}; the limit is {max_windows} windows",
            )
        return [
            self._window(ids[first : first + count], first)
            for first, count in window_starts(len(ids), capacity, stride=0)
        ]

    def _window(self, tokens: NDArray[np.int64], first: int) -> Window:
        ids = np.concatenate(([self._cls], tokens, [self._sep]))
        return Window(
            ids=ids, types=np.zeros(len(ids), np.int64), offset=1, first=first, count=len(tokens)
        )


def _text_template(tokenizer: Tokenizer, path: Path) -> tuple[int, int]:
    """The ids of [CLS] and [SEP], taken from an encoded text. `path` is for the message.

    Raises `BundleError` unless there is one special token before and one after the text, as in the
    BERT and RoBERTa families.
    """
    text = tokenizer.encode("a")
    special = [index for index, sequence in enumerate(text.sequence_ids) if sequence is None]
    if special != [0, len(text.ids) - 1] or any(text.type_ids):
        raise BundleError(
            f"{path}: a text is encoded as {' '.join(text.tokens) or 'nothing'}, with the token "
            f"types {text.type_ids}; supported is [CLS] text [SEP], all of type 0"
        )
    return text.ids[0], text.ids[-1]
