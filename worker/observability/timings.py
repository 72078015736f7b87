"""Timings that the engine measures for an event: plain values, no tracer.

The engine returns them, and the streaming layer copies them to the record's trace. All times are
nanoseconds since the epoch (`time.time_ns`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple


class StageTiming(NamedTuple):
    """One stage of an event."""

    name: str
    """A value of the label `stage` of `qa_stage_seconds`, or `commit`."""
    began: int
    ended: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class BatchTiming:
    """One run of a micro-batch. All events with a window in the batch share one object."""

    began: int
    ended: int
    events: int
    """Number of events with at least one window in the batch."""
    windows: int
    """Number of windows in the batch, of all events."""
    padded_tokens: int
    """Length of the longest window times the number of windows."""


@dataclass(frozen=True, slots=True)
class ReadTimings:
    """Timings of one event: its micro-batches, and the stages before and after them."""

    stages: list[StageTiming] = field(default_factory=list)
    """In the order in which the stages ended."""
    batches: list[BatchTiming] = field(default_factory=list)
    """Unordered: the threads of the engine run windows of one event at the same time."""
    attributes: dict[str, int] = field(default_factory=dict)
    """Attributes of the event for its span, such as `qa.contexts`."""
