"""How many tokens per second the engine processes while it is busy.

Pure and without a lock: the caller measures, and calls `add` from one thread at a time.
"""

HALF_LIFE_SECONDS = 5.0
"""Busy time, of each thread, after which a measurement counts half."""

MAX_SLOWDOWN = 4.0
"""A single measurement counts as at most this many times slower than the current estimate. A run
that the machine held up (a page fault storm, a suspended container) then moves the estimate a
little, and a machine that really became slower moves it within a few runs."""


class ThroughputEstimator:
    """An exponentially weighted mean over recent runs, each weighted by its busy time."""

    def __init__(self, threads: int) -> None:
        """`threads` is how many threads run at the same time, each measured on its own."""
        self._threads = threads
        self._half_life = HALF_LIFE_SECONDS * threads
        self._tokens = 0.0
        self._seconds = 0.0
        self._tokens_per_second = 0.0

    @property
    def tokens_per_second(self) -> float:
        """Of all threads together, if all are busy. 0 before the first `add`."""
        return self._tokens_per_second

    def add(self, tokens: int, busy_seconds: float) -> None:
        """One thread processed `tokens` in `busy_seconds`, the time it waited for work left out.

        Measurements without tokens or without time are ignored.
        """
        if tokens <= 0 or busy_seconds <= 0:
            return
        if self._seconds:
            expected = tokens * self._seconds / self._tokens
            busy_seconds = min(busy_seconds, MAX_SLOWDOWN * expected)
        decay = 0.5 ** (busy_seconds / self._half_life)
        self._tokens = self._tokens * decay + tokens
        self._seconds = self._seconds * decay + busy_seconds
        self._tokens_per_second = self._threads * self._tokens / self._seconds
