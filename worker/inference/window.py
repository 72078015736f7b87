"""One input of the model: a slice of a text, with the special tokens around it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Window:
    """One input of the model, unpadded.

    ids      int64 (length,)  [CLS] question [SEP] context-slice [SEP]
    types    int64 (length,)  0 up to the first [SEP], then the template's `context_type`
    offset   position in `ids` of the slice's first token
    first    index in the whole context of that token
    count    tokens in the slice
    """

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    offset: int
    first: int
    count: int

    def __len__(self) -> int:
        return len(self.ids)


def window_starts(tokens: int, capacity: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield `(first, count)` of each window over `tokens` context tokens.

    `capacity` tokens fit in a window; neighbours share `stride` of them (so `stride` is the
    overlap, as in Hugging Face, and not the step). There are
    `1 + ceil(max(0, tokens - capacity) / (capacity - stride))` of them.
    """
    first = 0
    while True:
        yield first, min(capacity, tokens - first)
        if first + capacity >= tokens:
            return
        first += capacity - stride
