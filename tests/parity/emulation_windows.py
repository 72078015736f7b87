"""Splits a question and its context into windows, as the pipeline or as the worker does.

Uses the pair encoding, truncation and overflow of `tokenizers`, and no code of the worker.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from tests.parity.differences import Difference
from tests.parity.words import follows

Ints = NDArray[np.int64]
Differences = frozenset[Difference]

SPECIAL_TOKENS = 3
"""[CLS] question [SEP] context [SEP]"""


@dataclass(frozen=True)
class TokenWindow:
    """A window from `tokenizers`. All arrays are (length,), except `offsets`, (length, 2).

    `words` has the word's index in the context, or -1 if the token is in no word.
    """

    ids: Ints
    types: Ints
    in_context: NDArray[np.bool_]
    is_cls: NDArray[np.bool_]
    words: Ints
    offsets: Ints

    @cached_property
    def word_ranges(self) -> dict[int, tuple[int, int]]:
        """Start and end in the context of the part of each word that is in this window."""
        ranges: dict[int, tuple[int, int]] = {}
        for index in np.flatnonzero(self.in_context).tolist():
            word = int(self.words[index])
            start, end = self.offsets[index].tolist()
            ranges[word] = (ranges[word][0], end) if word in ranges else (start, end)
        return ranges


@dataclass(frozen=True)
class Encoded:
    """A context and its windows."""

    context: str
    windows: tuple[TokenWindow, ...]

    @cached_property
    def word_ranges(self) -> dict[int, tuple[int, int]]:
        """Start and end of each whole word in the context."""
        ranges: dict[int, tuple[int, int]] = {}
        for window in self.windows:
            for word, (start, end) in window.word_ranges.items():
                known = ranges.get(word, (start, end))
                ranges[word] = (min(start, known[0]), max(end, known[1]))
        return ranges

    @cached_property
    def end_after_marks(self) -> Ints:
        """For each end of a token, the end of the marks and format characters that follow it in no
        token.
        """
        text = self.context
        is_mark = np.array([follows(character) for character in text], dtype=bool)
        for window in self.windows:
            for start, end in window.offsets[window.in_context].tolist():
                is_mark[start:end] = False
        ends = np.arange(len(text) + 1)
        for index in range(len(text) - 1, -1, -1):
            if is_mark[index]:
                ends[index] = ends[index + 1]
        return ends

    @cached_property
    def cluster_starts(self) -> Ints:
        """For each place, where the grapheme cluster begins that it divides; else itself."""
        borders = self._cluster_borders
        places = np.arange(len(self.context) + 1)
        return borders[np.searchsorted(borders, places, side="right") - 1]

    @cached_property
    def cluster_ends(self) -> Ints:
        """For each place, where the grapheme cluster ends that it divides; else itself."""
        borders = self._cluster_borders
        return borders[np.searchsorted(borders, np.arange(len(self.context) + 1))]

    @cached_property
    def _cluster_borders(self) -> Ints:
        lengths = [len(cluster) for cluster in regex.findall(r"\X", self.context)]
        return np.cumsum([0, *lengths])


class Encoder:
    """Encodes pairs as the pipeline or as the worker does. Not thread-safe."""

    def __init__(self, tokenizer_file: Path, *, max_seq_len: int, doc_stride: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._max_seq_len = max_seq_len
        self._doc_stride = doc_stride
        self._cls = self._tokenizer.encode("a", "b").ids[0]

    def encode(self, question: str, context: str, differences: Differences) -> Encoded | None:
        """Returns the windows, or `None` if the pipeline raises an exception.

        That is the case if a text is empty, or the question leaves too few tokens for the context.
        """
        if not (question and context):
            return None
        self._tokenizer.encode_special_tokens = Difference.SPECIAL_TOKENS not in differences
        capacity = self._max_seq_len - SPECIAL_TOKENS - self._tokens(question)
        stride = self._doc_stride
        if Difference.STRIDE not in differences:
            stride = min(stride, capacity // 2)
        if capacity <= stride and self._tokens(context) > capacity:
            return None
        self._tokenizer.enable_truncation(self._max_seq_len, stride=stride, strategy="only_second")
        first = self._tokenizer.encode(question, context)
        return Encoded(context, tuple(map(self._window, [first, *first.overflowing])))

    def rejects(self, question: str, context: str) -> bool:
        """Returns whether the worker rejects the question."""
        self._tokenizer.encode_special_tokens = True
        tokens = self._tokens(question)
        return not (question.strip() and context and 0 < tokens <= self._max_seq_len // 2)

    def _tokens(self, text: str) -> int:
        self._tokenizer.no_truncation()
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _window(self, encoding: Encoding) -> TokenWindow:
        ids = np.array(encoding.ids)
        return TokenWindow(
            ids=ids,
            types=np.array(encoding.type_ids),
            in_context=np.array([text == 1 for text in encoding.sequence_ids]),
            is_cls=ids == self._cls,
            words=np.array([-1 if word is None else word for word in encoding.word_ids]),
            offsets=np.array(encoding.offsets).reshape(-1, 2),
        )
