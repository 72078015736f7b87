"""What happens to a record between its poll and its commit, for whoever follows it.

Whoever does a step notes it, on the loop or on a thread. Where nobody follows there is no journey,
and a step costs one comparison with `None`. Times are nanoseconds since the epoch (`time.time_ns`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Header = tuple[str, bytes | None]

ANSWERED = "answered"
DROPPED = "dropped"
"""The partition was lost, or begins anew, before the record was committed; it is read again."""


class StageTiming(NamedTuple):
    """`name` is one of `qa_stage_seconds`' stages, or `commit`."""

    name: str
    began: int
    ended: int


@dataclass(slots=True, eq=False)
class BatchTiming:
    """A micro-batch in the model, with the journeys whose windows were in it."""

    began: int
    ended: int
    windows: int
    padded_tokens: int
    journeys: Sequence["RecordTrace"]
    span: Any = None
    """Whatever a follower wants to keep with it."""


@dataclass(slots=True, eq=False)
class RecordTrace:
    """A record's. Followers are told of its beginning and of its end, on the event loop."""

    topic: str
    partition: int
    offset: int
    headers: Sequence[Header]
    """The record's own."""
    taken: int = field(default_factory=time.time_ns)
    steps: list[StageTiming] = field(default_factory=list)
    runs: list[BatchTiming] = field(default_factory=list)
    id: str = ""
    outcome: str = ""
    """`ANSWERED`, `DROPPED`, or the reason of its rejection; set at the end."""
    ended: int = 0
    span: Any = None
    """Whatever a follower wants to keep with it."""
    context: Sequence[Header] | None = None
    """Headers that its answer carries in the place of the question's trace headers."""

    def step(self, name: str, began: int) -> None:
        """`name` has just ended."""
        self.steps.append(StageTiming(name, began, time.time_ns()))


class TraceListener(Protocol):
    """Must not block, and must not raise."""

    def began(self, journey: RecordTrace) -> None: ...

    def ended(self, journey: RecordTrace) -> None: ...


class TraceDispatcher:
    """Those of a worker."""

    def __init__(self, *followers: TraceListener) -> None:
        self._followers = followers

    def begin(
        self, topic: str, partition: int, offset: int, headers: Sequence[Header]
    ) -> RecordTrace | None:
        """`None` where nobody follows."""
        if not self._followers:
            return None
        journey = RecordTrace(topic, partition, offset, headers)
        for follower in self._followers:
            follower.began(journey)
        return journey

    def end(self, journey: RecordTrace, outcome: str) -> None:
        journey.outcome = outcome
        journey.ended = time.time_ns()
        for follower in self._followers:
            follower.ended(journey)


def record_batch(
    journeys: Sequence[RecordTrace], began: int, *, windows: int, padded_tokens: int
) -> None:
    """A micro-batch of windows of these has just ended."""
    run = BatchTiming(began, time.time_ns(), windows, padded_tokens, journeys)
    for journey in journeys:
        journey.runs.append(run)
