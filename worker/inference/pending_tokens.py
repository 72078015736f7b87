"""Counts the tokens of events that were submitted and are not done, by queue. Thread-safe."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from worker.observability import metrics


@dataclass(slots=True)
class TokenReservation:
    """The number of tokens that one job adds to the count.

    A future keeps its callbacks. The callback that releases the tokens refers to this object and
    not to the job, so that job and future form no reference cycle and are freed at once.
    """

    tokens: int = 0
    released: bool = False
    queue: str = ""


class PendingTokens:
    """The sum of all reservations."""

    def __init__(self) -> None:
        self.total = 0
        self.on_progress: Callable[[], None] | None = None
        """Called after `total` has fallen, on the thread that made it fall."""
        self._by_queue: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, queue: str) -> int:
        """The sum of the reservations of one queue."""
        return self._by_queue[queue]

    def reserve(self, reservation: TokenReservation, tokens: int) -> None:
        """Set a reservation to `tokens`. Does nothing once it is released."""
        with self._lock:
            if reservation.released:
                return
            change = tokens - reservation.tokens
            reservation.tokens = tokens
            self._add(reservation.queue, change)
        if change < 0:
            self._notify()

    def release(self, reservation: TokenReservation) -> None:
        """Take the reservation out of the count, for good."""
        with self._lock:
            reservation.released = True
            self._add(reservation.queue, -reservation.tokens)
            reservation.tokens = 0
        self._notify()

    def _add(self, queue: str, change: int) -> None:
        self.total += change
        self._by_queue[queue] += change
        metrics.PENDING_TOKENS.set(self.total)

    def _notify(self) -> None:
        callback = self.on_progress
        if callback is not None:
            callback()
