"""What was measured while an event went through the engine: plain values, no tracer.

The engine returns them, and the streaming layer copies them to the record's trace. All times are
nanoseconds since the epoch (`time.time_ns`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple


class StageTiming(NamedTuple):
    """`name` is a value of the label `stage` of `qa_stage_seconds`, or `commit`."""

    name: str
    began: int
    ended: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class BatchTiming:
    """One run of a micro-batch. All events with a window in it share this very object."""

    began: int
    ended: int
    events: int
    """Number of events with at least one window in the batch."""
    windows: int
    padded_tokens: int
    """Length of the longest window times the number of windows."""


@dataclass(frozen=True, slots=True)
class ReadTimings:
    """Of one event: the stages before and after its micro-batches, and those batches.

    `stages` are in the order in which they ended; `batches` have no order, since the threads of
    the engine run windows of one event at the same time.
    """

    stages: list[StageTiming] = field(default_factory=list)
    batches: list[BatchTiming] = field(default_factory=list)
