"""Liveness and readiness of the worker. Pure: other modules report events, clocks are passed in.

A worker is alive while it makes progress. It stalls if work is pending for `stall_after` seconds
and no record completes. An outage of the brokers is not a stall, since a restart would not end it.
A worker is ready while it is a member of the consumer group.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """The state that /healthz and /readyz report. Not thread-safe; durations are in seconds."""

    clock: Callable[[], float]
    """Monotonic time in seconds."""
    stall_after: float
    """Time with pending work and without a completed record after which the worker is stalled."""
    contact_after: float
    """Time without an answer from a broker after which there is an outage."""
    wall_clock: Callable[[], float] = time.time
    """Unix time in seconds."""
    ready: bool = False
    """Whether the worker is a member of the group and polls records."""
    stopped_partitions: Mapping[str, str] = field(default_factory=dict)
    """Partitions that stand still at a corrupt batch, and why. The others go on, and a restart of
    the worker would not help: the worker stays alive and ready."""
    waiting_partitions: Mapping[str, str] = field(default_factory=dict)
    """Partitions in which a record waits for the schema registry, and what the registry does. Alive
    and ready as well: the others go on, and these do when the registry answers."""
    start_waits: str | None = None
    """What the schema registry does while the worker's start waits for it."""
    last_contact_timestamp: float = field(init=False)
    """Unix time of the last answer from a broker; before the first answer, of the creation."""
    _last_progress: float = field(init=False)
    _last_contact: float = field(init=False)
    _throttled_until: float = field(init=False, default=float("-inf"))
    _work_pending: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._last_progress = self._last_contact = self.clock()
        self.last_contact_timestamp = self.wall_clock()

    def record_completed(self) -> None:
        """Reports that the brokers acknowledged the answer or the dead letter of a record."""
        self._last_progress = max(self.clock(), self._throttled_until)

    def broker_contact(self) -> None:
        """Reports an answer from a broker. The first one after an outage restarts `stall_after`."""
        now = self.clock()
        if now - self._last_contact > self.contact_after:
            self._last_progress = now
        self._last_contact = max(now, self._throttled_until)
        self.last_contact_timestamp = self.wall_clock()

    def throttled(self, seconds: float) -> None:
        """Reports an answer by which a quota delays the worker's requests for `seconds` from now.

        The times of stall and outage start after the delay.
        """
        self.broker_contact()
        self._throttled_until = max(self._throttled_until, self.clock() + seconds)
        self._last_progress = max(self._last_progress, self._throttled_until)
        self._last_contact = max(self._last_contact, self._throttled_until)

    @property
    def is_throttled(self) -> bool:
        """Whether a quota delays the worker's requests, so that brokers seem silent."""
        return self.clock() < self._throttled_until

    def set_work_pending(self, pending: bool) -> None:
        """Reports whether records are in flight or an assigned partition has lag."""
        if pending and not self._work_pending:
            self._last_progress = self.clock()
        self._work_pending = pending

    @property
    def seconds_since_contact(self) -> float:
        """Seconds since the last answer from a broker, or since the end of a throttle."""
        return max(0.0, self.clock() - self._last_contact)

    @property
    def stalled(self) -> bool:
        """Whether work is pending, brokers answer, and no record completed in `stall_after`."""
        outage = self.seconds_since_contact > self.contact_after
        overdue = self.clock() - self._last_progress > self.stall_after
        return self._work_pending and overdue and not outage
