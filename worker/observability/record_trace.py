"""The trace of a record, from its poll to its commit, for the listeners of a worker.

The streaming layer creates a trace when it polls a record, adds stages to it on the event loop,
copies the engine's timings to it, and ends it after the commit. Without a listener there are no
traces. All times are nanoseconds since the epoch (`time.time_ns`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from worker.observability.timings import BatchTiming, ReadTimings, StageTiming

Header = tuple[str, bytes | None]

ANSWERED = "answered"
UNSURE = "unsure"
"""Answered with a score below min_score."""
OUT_OF_SAMPLE = "out_of_sample"
"""Not answered: QA_SAMPLE leaves the question out. Its offset is committed."""
DROPPED = "dropped"
"""The partition was revoked or restarted before the record was committed; the record is read
again."""


@dataclass(slots=True, eq=False)
class RecordTrace:
    """The trace of one record. Compared by identity, so listeners may use it as a key."""

    topic: str
    partition: int
    offset: int
    headers: Sequence[Header]
    """Headers of the input record."""
    received: int = field(default_factory=time.time_ns)
    stages: list[StageTiming] = field(default_factory=list)
    batches: list[BatchTiming] = field(default_factory=list)
    cache: str = ""
    """As in `ReadTimings`."""
    attributes: dict[str, int] = field(default_factory=dict)
    """Attributes that the engine gave the event."""
    id: str = ""
    reply_topic: str = ""
    """Where the question asks for its reply; empty if it does not, or may not."""
    outcome: str = ""
    """`ANSWERED`, `UNSURE`, `OUT_OF_SAMPLE`, `DROPPED`, or the reason of the rejection; set at the
    end."""
    ended: int = 0
    deadline: float | None = None
    """Unix time in seconds after which the outcome is not needed, if the record has a deadline."""
    expired: str = ""
    """What `QA_EXPIRED` did with the record, if its deadline passed before the model read it."""
    propagated: Sequence[Header] | None = None
    """Trace context headers of the output record; they replace those of the input record."""

    def add_stage(self, name: str, began: int) -> None:
        """Add a stage that ends now."""
        self.stages.append(StageTiming(name, began, time.time_ns()))

    def add_timings(self, timings: ReadTimings) -> None:
        """Add what the engine measured."""
        self.stages += timings.stages
        self.batches += timings.batches
        self.cache = timings.cache
        self.attributes |= timings.attributes


class TraceListener(Protocol):
    """Receives traces on the event loop. Its methods must not block and must not raise."""

    def on_start(self, trace: RecordTrace) -> None:
        """Called when a record was polled."""

    def on_end(self, trace: RecordTrace) -> None:
        """Called once for each started trace, with `outcome` and `ended` set."""


class TraceDispatcher:
    """Creates and ends traces, and calls the listeners."""

    def __init__(self, *listeners: TraceListener) -> None:
        self._listeners = listeners

    def start(
        self, topic: str, partition: int, offset: int, headers: Sequence[Header]
    ) -> RecordTrace | None:
        """Creates the trace of a record. Returns `None` without listeners."""
        if not self._listeners:
            return None
        trace = RecordTrace(topic, partition, offset, headers)
        for listener in self._listeners:
            listener.on_start(trace)
        return trace

    def end(self, trace: RecordTrace, outcome: str) -> None:
        """Ends the trace now. `outcome` is as in `RecordTrace`."""
        trace.outcome = outcome
        trace.ended = time.time_ns()
        for listener in self._listeners:
            listener.on_end(trace)
