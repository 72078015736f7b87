"""What the engine returns for an event."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from schemas.event import Outcome
from worker.observability.timings import ReadTimings

R = TypeVar("R", bound=Outcome)


@dataclass(frozen=True, slots=True)
class ReadResult(Generic[R]):
    """The outcome, and what the engine measured on the way. A rejection is raised instead."""

    outcome: R
    timings: ReadTimings
