"""Decides whose record is next when several partitions have some. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996), by turns:
the next turn is of the key that has received the least. A key that had nothing for a while is not
owed anything for it: it continues where the others are. Its turn interrupts the one in progress,
and comes as often as theirs from then on.
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
        self._arrived: dict[K, None] = {}
        """Keys whose items came during a turn. Each interrupts it for a turn of its own, the last
        one first: `_now` stands still meanwhile, so each does so once.
        """
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
        """Whether a turn has started and continues."""
        return bool(self._arrived) or (self._current is not None and self._continues(self._current))

    def append(self, key: K, item: T) -> None:
        new = key not in self._items and key != self._current
        if new and self.in_turn and self._start(key) == self._now:
            self._arrived[key] = None
        self._items.setdefault(key, deque()).append(item)

    def choose(self, admits: Callable[[K, T], bool]) -> K | None:
        """The key whose turn it is, or None if `admits` refuses the first item of each key.

        A refused key is passed over, and is not owed anything for it.
        """
        for key in reversed(self._arrived):
            if admits(key, self._items[key][0]):
                return key
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
        interrupts = key in self._arrived
        if interrupts or key != self._current or not self._continues(key):
            self._finished[key] = self._start(key)
            self._turn += 1
            self._turns[key] = self._turn
            if not interrupts:
                self._now = self._finished[key]
                self._current = key
        items = self._items[key]
        item = items.popleft()
        if not items:
            del self._items[key]
        self._finished[key] += max(1, self._cost(item))
        if interrupts and not self._continues(key):
            del self._arrived[key]
        return item

    def retain(self, keys: Collection[K]) -> None:
        """Drop all other keys with their items."""
        for each in (self._items.keys() | self._finished.keys()) - set(keys):
            self._items.pop(each, None)
            self._finished.pop(each, None)
            self._turns.pop(each, None)
            self._arrived.pop(each, None)
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
