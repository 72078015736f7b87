"""Tells quotas from silence: metrics, log and health of a worker that the brokers throttle."""

import time
from collections.abc import Callable

import structlog

from worker.observability import metrics
from worker.observability.health import Health

log = structlog.get_logger(__name__)

LOG_SECONDS = 60.0
"""Time between two lines about one kind of request."""

_LABELS = {"ProduceRequest": "produce", "FetchRequest": "fetch"}


class ThrottleReporter:
    """One for a session."""

    def __init__(self, health: Health, clock: Callable[[], float] = time.monotonic) -> None:
        self._health = health
        self._clock = clock
        self._logged: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def report(self, request: str, seconds: float) -> None:
        """A broker answered a `request` (its class), and mutes its connection for `seconds`."""
        kind = _LABELS.get(request, "other")
        metrics.THROTTLE_TIME.labels(kind).inc(seconds)
        self._health.throttled(seconds)
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
        now = self._clock()
        if now - self._logged.get(kind, float("-inf")) >= LOG_SECONDS:
            self._logged[kind] = now
            total = round(self._seconds.pop(kind), 1)
            log.warning("throttled", request=kind, seconds=round(seconds, 1), total=total)
