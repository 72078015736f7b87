"""The deadline of a record's event, and whether it has passed. Pure: the clock is passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from schemas.event import Event
from schemas.rejection import is_replay
from worker.inference.deadline import Deadline
from worker.kafka.records import InputRecord
from worker.observability.timings import ReadTimings
from worker.settings.deadlines import ExpiredMode

E = TypeVar("E", bound=Event[Any])

_LAST = datetime.max.replace(tzinfo=UTC).timestamp()
"""The last time that `datetime` has. A record whose deadline is later has no deadline."""


@dataclass(frozen=True, slots=True)
class DeadlinePolicy:
    """`QA_EXPIRED` and `QA_MAX_AGE_SECONDS`. One for a session."""

    expired: ExpiredMode = "dead_letter"
    max_age_seconds: float | None = None
    clock: Callable[[], float] = time.time
    """Gives Unix time in seconds."""

    def apply(self, event: E, record: InputRecord) -> tuple[E, Deadline | None]:
        """The event as the engine takes it, and its deadline.

        The deadline is the earlier of the one that the event states and of the record's timestamp
        plus the maximum age. A replayed question has none: its replay asks for an answer. The
        event that is returned has `expires_at` only if the engine is to reject it after that time.
        """
        times = [time for time in (event.expires_at, self._age_limit(record)) if time is not None]
        expires_at = None if is_replay(record.headers) else min(times, default=None)
        effective = event.model_copy(update={"expires_at": expires_at}) if times else event
        deadline = Deadline.of(effective)
        if deadline is not None and self.expired == "answer":
            effective = effective.model_copy(update={"expires_at": None})
        return effective, deadline

    def has_passed(self, deadline: Deadline | None) -> bool:
        """Whether it has passed by now. Raises `Rejected` if so, unless the event is answered all
        the same.
        """
        if deadline is None or not deadline.has_passed(self.clock()):
            return False
        if self.expired != "answer":
            raise deadline.rejection()
        return True

    def passed_before_inference(self, deadline: Deadline | None, timings: ReadTimings) -> bool:
        """Whether an event that is answered all the same expired before its first window ran."""
        if deadline is None or self.expired != "answer" or not timings.batches:
            return False
        began = min(batch.began for batch in timings.batches)
        return deadline.has_passed(began / 1e9)

    def _age_limit(self, record: InputRecord) -> datetime | None:
        if self.max_age_seconds is None or record.produced_ms is None:
            return None
        seconds = record.produced_ms / 1000 + self.max_age_seconds
        return datetime.fromtimestamp(seconds, UTC) if seconds <= _LAST else None
