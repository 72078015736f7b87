"""The state of one assigned partition: offsets in flight, delivered and committed. Pure.

Records are added in the order of their offsets and complete in any order. The position is the
offset behind the contiguous prefix of completed records: the only offset that is safe to commit.
Offsets may have gaps (compaction, transaction markers).

A tracker belongs to one assignment. A partition that comes back gets a new tracker, and a closed
tracker completes nothing, so a late completion cannot count for another assignment.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StartOffsets:
    """Where the consumer starts: `committed` is the group's offset, None if it has none."""

    committed: int | None
    position: int


class OffsetTracker(Generic[T]):
    """The only record of a partition's offsets, for the time of one assignment.

    `T` is what a completed record leaves behind until its offset is committed.
    """

    def __init__(self) -> None:
        self._order: deque[int] = deque()  # added; the first incomplete offset in front
        self._incomplete: set[int] = set()
        self._completed: dict[int, T] = {}  # delivered, not committed
        self._next = 0
        self._position: int | None = None
        self._committed: int | None = None
        self._closed = False

    def start(self, offsets: StartOffsets) -> None:
        """The group's committed offset is known, and where the consumer starts."""
        if self._committed is None:
            self._committed = offsets.committed
        self.begin(offsets.position)

    def begin(self, position: int) -> None:
        """Consumption starts at `position`. No effect once the position is known: the consumer's
        position may already lie behind records that wait for capacity and were not added yet.
        """
        if self._position is None:
            self._position = self._next = position

    def add(self, offset: int) -> bool:
        """`offset` is in flight. Returns False if it was added before or the tracker is closed."""
        if self._closed or offset < self._next:
            return False
        self.begin(offset)
        self._next = offset + 1
        self._order.append(offset)
        self._incomplete.add(offset)
        return True

    def complete(self, offset: int, item: T) -> bool:
        """The brokers acknowledged the outcome of `offset`. Returns False if not in flight."""
        if offset not in self._incomplete:
            return False
        self._incomplete.remove(offset)
        self._completed[offset] = item
        while self._order and self._order[0] not in self._incomplete:
            self._position = self._order.popleft() + 1
        return True

    def advance(self, position: int) -> None:
        """No record lies between the last one added and `position`."""
        if not self._closed and not self._order and self._position is not None:
            self._position = self._next = max(self._next, position)

    def mark_committed(self, offset: int) -> list[T]:
        """The group's committed offset is now `offset`. Returns the items of records before it."""
        self._committed = offset
        done = [each for each in self._completed if each < offset]
        return [self._completed.pop(each) for each in done]

    def close(self) -> list[T]:
        """The assignment ended: nothing is in flight. Returns the items that were not committed."""
        self._closed = True
        self._order.clear()
        self._incomplete.clear()
        items = list(self._completed.values())
        self._completed.clear()
        return items

    @property
    def position(self) -> int | None:
        """The offset to commit: where a restart resumes. None until it is known."""
        return self._position

    @property
    def committed(self) -> int | None:
        """The group's committed offset, as far as this tracker was told."""
        return self._committed

    @property
    def in_flight(self) -> int:
        """Records added and not completed."""
        return len(self._incomplete)

    @property
    def uncommitted(self) -> int:
        """Records completed and not committed."""
        return len(self._completed)

    @property
    def needs_commit(self) -> bool:
        return not self._closed and self._position is not None and self._position != self._committed
