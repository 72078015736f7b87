"""A question and its context cut into windows as the pipeline cuts them, or with our decisions.

Straight from `tokenizers`' own pair encoding, truncation and overflow: no code of the reader.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from tests.parity.classes import Difference
from tests.parity.words import follows

Ints = NDArray[np.int64]
Differences = frozenset[Difference]

SPECIAL_TOKENS = 3
"""[CLS] question [SEP] context [SEP]"""


@dataclass(frozen=True)
class TokenWindow:
    """A window as `tokenizers` made it; everything is (length,), offsets are (length, 2).

    `words` holds -1 where a token has no word.
    """

    ids: Ints
    types: Ints
    in_context: NDArray[np.bool_]
    is_cls: NDArray[np.bool_]
    words: Ints
    offsets: Ints

    @cached_property
    def word_places(self) -> dict[int, tuple[int, int]]:
        """Where the part of each of the context's words is that stands in this window."""
        places: dict[int, tuple[int, int]] = {}
        for index in np.flatnonzero(self.in_context).tolist():
            word = int(self.words[index])
            start, end = self.offsets[index].tolist()
            places[word] = (places[word][0], end) if word in places else (start, end)
        return places


@dataclass(frozen=True)
class Encoded:
    """A question and its context, cut into windows in one of the two ways."""

    context: str
    windows: tuple[TokenWindow, ...]

    @cached_property
    def word_places(self) -> dict[int, tuple[int, int]]:
        """Where each of the context's words is, whole."""
        whole: dict[int, tuple[int, int]] = {}
        for window in self.windows:
            for word, (start, end) in window.word_places.items():
                known = whole.get(word, (start, end))
                whole[word] = (min(start, known[0]), max(end, known[1]))
        return whole

    @cached_property
    def behind_marks(self) -> Ints:
        """For each place where a token may end, the place behind the marks and format characters
        that follow it.
        """
        text = self.context
        is_mark = np.array([follows(character) for character in text], dtype=bool)
        for window in self.windows:
            for start, end in window.offsets[window.in_context].tolist():
                is_mark[start:end] = False
        behind = np.arange(len(text) + 1)
        for place in range(len(text) - 1, -1, -1):
            if is_mark[place]:
                behind[place] = behind[place + 1]
        return behind

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
    """Encodes pairs as the pipeline does, or with our decisions. For one thread."""

    def __init__(self, tokenizer_file: Path, *, max_seq_len: int, doc_stride: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._max_seq_len = max_seq_len
        self._doc_stride = doc_stride
        self._cls = self._tokenizer.encode("a", "b").ids[0]

    def encode(self, question: str, context: str, differences: Differences) -> Encoded | None:
        """`None` where the pipeline raises: a text is empty, or a window has no room for both."""
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
        """Whether our reader refuses the question."""
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
