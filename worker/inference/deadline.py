"""The time after which the outcome of an event is not needed. Pure: the caller passes the time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.event import Event
from schemas.rejection import Reason, Rejected


@dataclass(frozen=True, slots=True)
class Deadline:
    """The `expires_at` of an event."""

    time: datetime
    seconds: float
    """The same as Unix time."""

    @classmethod
    def of(cls, event: Event[Any]) -> "Deadline | None":
        time = event.expires_at
        return None if time is None else cls(time, time.timestamp())

    def has_passed(self, now: float) -> bool:
        """`now` is Unix time in seconds."""
        return now > self.seconds

    def rejection(self) -> Rejected:
        """It names no duration: an event that is processed again gives the same dead letter."""
        return Rejected(
            Reason.EXPIRED,
            f"the deadline {self.time.isoformat()} passed before the model read the event",
        )
