"""A clock for tests. It changes only when the test sets it."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Returns `now`, in seconds, when called."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now
