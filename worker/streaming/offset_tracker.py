"""Offsets of one assigned partition: in flight, done, safe to commit. Pure.

Records are taken in the order of their offsets and finish in any order; what may be committed
is what lies before the first one that has not finished. Offsets may have gaps (compaction,
transaction markers).

A ledger is one assignment's epoch: every assignment gets a new one, a completion refers to the
ledger under which its record was taken, and after `close` it finishes nothing. So a late
completion cannot count for a partition that was lost, nor for the same partition come back.
"""

from collections import deque


class OffsetTracker:
    """One partition for the time of one assignment."""

    def __init__(self) -> None:
        self._order: deque[int] = deque()  # taken, the first unfinished one in front
        self._open: set[int] = set()  # taken and not finished
        self._next = 0
        self._safe: int | None = None
        self._closed = False

    def begin(self, position: int) -> None:
        """Reading starts at `position`. Ignored once a record was taken, which knows better."""
        if self._safe is None:
            self._safe = self._next = position

    def take(self, offset: int) -> bool:
        """`offset` is in flight from now on. False if it was taken before, or all is over."""
        if self._closed or offset < self._next:
            return False
        if self._safe is None:
            self._safe = offset
        self._next = offset + 1
        self._order.append(offset)
        self._open.add(offset)
        return True

    def finish(self, offset: int) -> bool:
        """The broker has what became of `offset`. False if it was not in flight, or all is over."""
        if self._closed or offset not in self._open:
            return False
        self._open.remove(offset)
        while self._order and self._order[0] not in self._open:
            self._safe = self._order.popleft() + 1
        return True

    def advance(self, position: int) -> None:
        """All records before `position` were taken: with none in flight, that is where to go on."""
        if not self._closed and not self._order and self._safe is not None:
            self._safe = self._next = max(self._next, position)

    def close(self) -> None:
        """The assignment is over; nothing is in flight any more, and nothing will finish."""
        self._closed = True
        self._order.clear()
        self._open.clear()

    @property
    def safe(self) -> int | None:
        """The offset to commit: the next to read after a restart. `None` before it is known."""
        return self._safe

    @property
    def in_flight(self) -> int:
        return len(self._open)
