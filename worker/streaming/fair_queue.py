"""Decides whose record is next when several partitions have some. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996), by turns:
the next turn is of the key that has received the least. A key that had nothing for a while is not
owed anything for it: it continues where the others are, so its turn comes next and then as often as
theirs.
"""

from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class FairQueue(Generic[K, T]):
    """Queues of items, one for each key. While several have items, each receives the same cost.

    A key's items keep their order. What two keys that both have items receive differs by at most a
    turn of each, which ends with the item that completes `turn_cost`.
    """

    def __init__(self, cost: Callable[[T], int]) -> None:
        """`cost` of an item, 1 or more, in any unit. To give a key a weight, divide its items' cost
        by the weight.
        """
        self._cost = cost
        self._items: dict[K, deque[T]] = {}  # never empty
        self._now = 0  # virtual time: when the turn had started
        self._finished: dict[K, int] = {}  # virtual time at which the key's last item finished
        self._turns: dict[K, int] = {}  # number of the key's last turn
        self._turn = 0
        self._current: K | None = None
        self.turn_cost = 0
        """A key continues its turn until it has received this cost. 0: one item each turn."""

    def __len__(self) -> int:
        """Items of all keys."""
        return sum(map(len, self._items.values()))

    def __contains__(self, key: K) -> bool:
        """Whether the key has items."""
        return key in self._items

    @property
    def in_turn(self) -> bool:
        """Whether the key that was served last continues its turn."""
        return self._current is not None and self._continues(self._current)

    def append(self, key: K, item: T) -> None:
        self._items.setdefault(key, deque()).append(item)

    def choose(self, admits: Callable[[K, T], bool]) -> K | None:
        """The key whose turn it is, or None if `admits` refuses the first item of each key.

        A refused key is passed over, and is not owed anything for it.
        """
        current = self._current
        if (
            current is not None
            and self._continues(current)
            and admits(current, self._items[current][0])
        ):
            return current
        admitted = [key for key, items in self._items.items() if admits(key, items[0])]
        return min(admitted, key=self._order, default=None)

    def first(self, key: K) -> T:
        """The item that `pop` would return."""
        return self._items[key][0]

    def pop(self, key: K) -> T:
        """Remove and return the first item of the key that `choose` returned."""
        if key != self._current or not self._continues(key):
            self._now = self._start(key)
            self._finished[key] = self._now
            self._current = key
            self._turn += 1
            self._turns[key] = self._turn
        items = self._items[key]
        item = items.popleft()
        if not items:
            del self._items[key]
        self._finished[key] += max(1, self._cost(item))
        return item

    def retain(self, keys: Collection[K]) -> None:
        """Drop all other keys with their items."""
        for each in (self._items.keys() | self._finished.keys()) - set(keys):
            self._items.pop(each, None)
            self._finished.pop(each, None)
            self._turns.pop(each, None)
            if each == self._current:
                self._current = None

    def _continues(self, current: K) -> bool:
        received = self._finished[current] - self._now
        return current in self._items and received < self.turn_cost

    def _start(self, key: K) -> int:
        """Virtual time at which the key's next turn starts."""
        return max(self._now, self._finished.get(key, 0))

    def _order(self, key: K) -> tuple[int, int]:
        """Of keys that have received the same, the longest unserved first."""
        return self._start(key), self._turns.get(key, 0)
