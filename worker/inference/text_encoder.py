"""Encodes texts piece by piece: memory and time do not grow with a text that is rejected anyway.

`tokenizers` takes about 600 bytes for each token of a text while it encodes it. A record of 1 MB
may hold a million tokens, of which no model reads more than its windows.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

# The engine has as many threads as it may use: `encode_batch` is to start none.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

PIECE = 16_384
"""Code points of a piece. A shorter text is one piece."""

_LEAST_MARGIN = 64
"""Code points. What a tokenizer of the BERT family makes of a character depends on its neighbours
and on the added tokens that it may be a part of."""


class _DependsOnDistantTextError(Exception):
    """The tokens of a piece depend on text that is not in the piece."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`n` tokens of a text.

    ids     int64 (n,)    token ids
    offsets int64 (n, 2)  start and end of each token's text in code points, end exclusive
    begins  bool (n,)     whether a token is the first of its word
    whole   false if the text has more tokens than these
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    begins: NDArray[np.bool_]
    whole: bool = True

    def __len__(self) -> int:
        return len(self.ids)

    def slice(self, first: int, end: int | None = None) -> "Tokens":
        """The tokens from `first` to `end`, exclusive."""
        return Tokens(self.ids[first:end], self.offsets[first:end], self.begins[first:end])

    def starts_with(self, other: "Tokens") -> bool:
        """Whether the first tokens are those of `other`."""
        n = len(other)
        return (
            np.array_equal(self.ids[:n], other.ids)
            and np.array_equal(self.offsets[:n], other.offsets)
            and np.array_equal(self.begins[:n], other.begins)
        )

    def last_word_until(self, position: int) -> int:
        """The first token of the last word that starts at `position` or before; 0 if none does."""
        words = np.flatnonzero(self.begins)
        place = int(np.searchsorted(self.offsets[words, 0], position, side="right"))
        return int(words[place - 1]) if place else 0

    def divides_word(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """For each of `m` positions whether the characters before and after it are of one word,
        bool (m,).
        """
        if not len(self):
            return np.zeros(len(positions), np.bool_)
        words = np.flatnonzero(self.begins)
        starts, ends = self.offsets[words, 0], self.offsets[np.append(words[1:], len(self)) - 1, 1]
        word = np.searchsorted(starts, positions, side="left") - 1
        return (word >= 0) & (positions < np.append(ends, 0)[word])


_NOTHING = Tokens(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0, np.bool_))


class TextEncoder:
    """Encodes texts with one tokenizer, without special tokens. Any thread may call it."""

    def __init__(self, tokenizer: Tokenizer, *, piece: int = PIECE) -> None:
        """`piece` is the number of code points that are encoded at once."""
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder().values()
        self._margin = max([_LEAST_MARGIN, *(2 * len(token.content) for token in added)])
        self._piece = max(piece, 2 * self._margin)
        self._one_long_word = Lock()

    def encode(self, text: str, *, max_tokens: int | None = None) -> Tokens:
        """The tokens of `text`: those of the text encoded at once.

        Stops after `max_tokens`: of a text that has more, at least one more is returned.
        """
        parts: list[Tokens] = []
        count = 0
        try:
            for part, is_last in self._parts(text):
                parts.append(part)
                count += len(part)
                if max_tokens is not None and count > max_tokens:
                    return _joined(parts, whole=is_last)
        except _DependsOnDistantTextError:
            return self._encode(text, 0, len(text))
        return _joined(parts, whole=True)

    def _parts(self, text: str) -> Iterator[tuple[Tokens, bool]]:
        """Yield the tokens of `text` in parts, each with whether it is the last.

        A piece is cut at the start of a word, `margin` before its end: there the text that is
        missing no longer matters. The next piece begins another `margin` before the cut, and must
        have the same tokens up to the cut. Raises `_DependsOnDistantTextError` if it has not.
        """
        base, end, known = 0, self._piece, _NOTHING
        while True:
            tokens = self._encode(text, base, min(end, len(text)))
            if not tokens.starts_with(known):
                raise _DependsOnDistantTextError
            if end >= len(text):
                yield tokens.slice(len(known)), True
                return
            cut = tokens.last_word_until(end - self._margin)
            if cut <= len(known):
                # A long word, or much white space.
                end = base + 2 * (end - base)
                continue
            yield tokens.slice(len(known), cut), False
            position = int(tokens.offsets[cut, 0])
            again = tokens.last_word_until(position - self._margin)
            known = tokens.slice(again, cut)
            base, end = int(tokens.offsets[again, 0]), position + self._piece

    def _encode(self, text: str, first: int, end: int) -> Tokens:
        """The tokens of `text[first:end]`, with offsets in `text`."""
        encoding = self._encoding(text[first:end])
        words = np.array(encoding.word_ids, dtype=np.int64)
        return Tokens(
            ids=np.array(encoding.ids, dtype=np.int64),
            offsets=np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2) + first,
            begins=np.diff(words, prepend=-1) != 0,
        )

    def _encoding(self, text: str) -> Encoding:
        if len(text) <= 2 * self._piece:
            return self._tokenizer.encode(text, add_special_tokens=False)
        # One long word. `encode` keeps the interpreter's lock, so that no heartbeat is sent for
        # seconds; `encode_batch` releases it. One at a time: a word of 1 MB takes 140 MB.
        with self._one_long_word:
            return self._tokenizer.encode_batch([text], add_special_tokens=False)[0]


def _joined(parts: list[Tokens], *, whole: bool) -> Tokens:
    if len(parts) == 1:
        return replace(parts[0], whole=whole)
    return Tokens(
        ids=np.concatenate([part.ids for part in parts]),
        offsets=np.concatenate([part.offsets for part in parts]),
        begins=np.concatenate([part.begins for part in parts]),
        whole=whole,
    )
