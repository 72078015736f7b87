"""Deadlines of events: `QA_EXPIRED`, `QA_MAX_AGE_SECONDS`."""

from typing import Literal

from pydantic import Field

from worker.settings.base import SettingsGroup

ExpiredMode = Literal["dead_letter", "drop", "answer"]
"""What the worker does with an event whose deadline has passed."""


class DeadlineSettings(SettingsGroup):
    """After which time an event is not answered."""

    expired: ExpiredMode = Field(
        "dead_letter",
        description="What an event leads to whose deadline has passed: dead_letter, drop (only its "
        "offset is committed), or answer (as if it had no deadline)",
    )
    max_age_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Deadline of every event, in seconds after its record's timestamp; default: "
        "only the deadlines that events state",
    )
