"""Batcher: decides which windows run together. Pure: the caller passes the time and holds the lock.

Work-conserving: a free thread takes the next batch at once; no timer delays work. The oldest window
is always in the next batch, together with the windows nearest to it in length.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items that run together, shortest first. Times in seconds, on the clock of the caller."""

    items: list[T]
    tokens: int
    """Tokens of the items themselves."""
    padded_tokens: int
    """Length of the longest item times the number of items: what the model computes."""
    oldest_wait: float
    """Seconds that the oldest item waited."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    tokens: int
    since: float


class Batcher(Generic[T]):
    """A queue that fills batches up to a budget of padded tokens."""

    def __init__(
        self, *, max_tokens: int, max_padding: float, max_items: int | None = None
    ) -> None:
        """`max_tokens` bounds longest * count, `max_padding` the share of it that is padding.

        `max_items=1` is for models in which the windows of a batch change each other's outputs.
        A single item always runs, whatever its length.
        """
        self._max_tokens = max_tokens
        self._max_padding = max_padding
        self._max_items = max_items
        self._by_age: OrderedDict[int, _Waiting[T]] = OrderedDict()
        self._by_length: list[tuple[int, int]] = []  # (tokens, serial), sorted
        self._serial = 0

    def __len__(self) -> int:
        return len(self._by_age)

    def add(self, item: T, tokens: int, now: float) -> None:
        self._by_age[self._serial] = _Waiting(item, tokens, now)
        insort(self._by_length, (tokens, self._serial))
        self._serial += 1

    def next_batch(self, now: float) -> Batch[T] | None:
        """Remove and return the next batch, or `None` if nothing waits."""
        if not self._by_age:
            return None
        serial, oldest = next(iter(self._by_age.items()))
        low, high = self._expand(bisect_left(self._by_length, (oldest.tokens, serial)))
        taken = [self._by_age.pop(serial) for _, serial in self._by_length[low:high]]
        del self._by_length[low:high]
        return Batch(
            items=[waiting.item for waiting in taken],
            tokens=sum(waiting.tokens for waiting in taken),
            padded_tokens=taken[-1].tokens * len(taken),
            oldest_wait=now - oldest.since,
        )

    def _expand(self, at: int) -> tuple[int, int]:
        """The slice of `_by_length` around index `at` that forms a batch.

        Each step takes the neighbour nearest in length to the oldest window, until neither
        neighbour fits.
        """
        lengths, pivot = self._by_length, self._by_length[at][0]
        low, high, tokens = at, at + 1, pivot
        while self._max_items is None or high - low < self._max_items:
            steps = []
            if high < len(lengths):
                longer = lengths[high][0]
                steps.append((longer - pivot, low, high + 1, tokens + longer))
            if low > 0:
                shorter = lengths[low - 1][0]
                steps.append((pivot - shorter, low - 1, high, tokens + shorter))
            fitting = [step for step in steps if self._fits(*step[1:])]
            if not fitting:
                break
            _, low, high, tokens = min(fitting)
        return low, high

    def _fits(self, low: int, high: int, tokens: int) -> bool:
        padded = self._by_length[high - 1][0] * (high - low)
        return padded <= self._max_tokens and padded - tokens <= self._max_padding * padded
