"""Decides which of several queues is served next, so that their service is in proportion to their
weights. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996): each
piece of work has a start tag in virtual time, the queue with the smallest one is served, and
service of a cost moves the queue's next start tag by cost / weight. A queue that had nothing for a
while is not owed anything for it: it continues where the others are.
"""

import math
from collections.abc import Iterable, Mapping


class FairShares:
    """Service received by queues, in virtual time.

    While two queues always have work, their costs divided by their weights differ by at most one
    piece of work of each.
    """

    def __init__(self, weights: Mapping[str, int]) -> None:
        """`weights` are 1 or more; a queue that is not named has 1."""
        self._weights = dict(weights)
        # Whole numbers: virtual time grows as long as the process runs, and must not be rounded.
        self._unit = math.lcm(*self._weights.values())
        self._now = 0
        self._next_start: dict[str, int] = {}
        self._last_served: dict[str, int] = {}
        self._served = 0

    def choose(self, waiting: Iterable[str]) -> str | None:
        """The queue to serve of those that have work; of two with equal claims, the one that was
        not served for longer. None if there is none.
        """
        return min(waiting, key=self._claim, default=None)

    def charge(self, queue: str, cost: int) -> None:
        """The queue that `choose` returned receives service of `cost`, 1 or more."""
        self._now = self._start(queue)
        self._next_start[queue] = self._now + cost * self._unit // self._weights.get(queue, 1)
        self._served += 1
        self._last_served[queue] = self._served

    def _start(self, queue: str) -> int:
        return max(self._now, self._next_start.get(queue, 0))

    def _claim(self, queue: str) -> tuple[int, int]:
        return self._start(queue), self._last_served.get(queue, 0)
