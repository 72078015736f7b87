"""Client libraries say the same thing many times a second while brokers, or a collector, are away.
Of each such line one is let through every few seconds, with the number of those that were not.
"""

import logging
import time
from collections.abc import Callable

LIBRARIES = {"aiokafka", "opentelemetry"}

PERIOD = 10.0
"""Seconds: an outage of ten minutes is some hundred lines, not forty thousand."""


class RateLimitRepeats(logging.Filter):
    """Lines are the same where logger and message are, whatever is filled into the message."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # when let through; held back

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        line = record.name, str(record.msg)
        now = self._clock()
        passed, held_back = self._seen.get(line, (float("-inf"), 0))
        if now - passed < PERIOD:
            self._seen[line] = passed, held_back + 1
            return False
        self._seen[line] = now, 0
        if held_back:
            record.held_back = held_back
        return True
