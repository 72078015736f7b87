"""Decides whose record is next when several partitions have some. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996): the next
item is the one whose key has received the least. A key that had nothing for a while is not owed
anything for it: it continues where the others are, so it is served next and then as often as they.
"""

from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class FairQueue(Generic[K, T]):
    """Queues of items, one for each key. While several have items, each receives the same cost.

    A key's items keep their order. The difference between two keys that both have items is at most
    the cost of one item of each.
    """

    def __init__(self, cost: Callable[[T], int]) -> None:
        """`cost` of an item, 1 or more, in any unit. To give a key a weight, divide its items' cost
        by the weight.
        """
        self._cost = cost
        self._items: dict[K, deque[T]] = {}  # never empty; the longest unserved key in front
        self._finished: dict[K, int] = {}  # virtual time at which the key's last item finished
        self._now = 0  # virtual time: when the last item taken had started

    def __len__(self) -> int:
        """Items of all keys."""
        return sum(map(len, self._items.values()))

    def __contains__(self, key: K) -> bool:
        """Whether the key has items."""
        return key in self._items

    def append(self, key: K, item: T) -> None:
        self._items.setdefault(key, deque()).append(item)

    def choose(self, admits: Callable[[K, T], bool]) -> K | None:
        """The key whose turn it is, or None if `admits` refuses the first item of each key.

        A refused key is passed over, and is not owed anything for it.
        """
        admitted = [key for key, items in self._items.items() if admits(key, items[0])]
        return min(admitted, key=self._start, default=None)  # the longest unserved of equal ones

    def first(self, key: K) -> T:
        """The item that `pop` would return."""
        return self._items[key][0]

    def pop(self, key: K) -> T:
        """Remove and return the key's first item: it was the key's turn."""
        items = self._items.pop(key)
        item = items.popleft()
        self._now = self._start(key)
        self._finished[key] = self._now + max(1, self._cost(item))
        if items:
            self._items[key] = items  # behind the others
        return item

    def retain(self, keys: Collection[K]) -> None:
        """Drop all other keys with their items."""
        for each in self._items.keys() - keys:
            del self._items[each]
        for each in self._finished.keys() - keys:
            del self._finished[each]

    def _start(self, key: K) -> int:
        """Virtual time at which the key's next item starts."""
        return max(self._now, self._finished.get(key, 0))
