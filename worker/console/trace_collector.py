"""The console among those who follow journeys: how long all of them took, and every step of those
whose question was asked here.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.console.sampler import Latencies
from worker.observability.record_trace import DROPPED, RecordTrace

MARK = "x-correlation-id"
"""The header by which a question that was asked here is known again. Its answer carries it too."""


class Stage(NamedTuple):
    """A part of a question's way. Times are milliseconds since it was sent."""

    name: str
    since: float
    """When the stage before it ended; until `began` the question waited."""
    began: float
    ended: float


class Batch(NamedTuple):
    """A micro-batch that held windows of the question. Times as in `Stage`."""

    began: float
    ended: float
    windows: int
    """Of all the records in it."""
    records: int
    padded_tokens: int


@dataclass(slots=True, eq=False)
class PendingQuestion:
    """A question that was asked here, and what this worker saw of it."""

    seen: bool = False
    """Whether this worker took it; else another one of the group did."""
    dropped: int = 0
    """How often its partition was lost or begun anew with it in flight."""
    journey: "asyncio.Future[RecordTrace]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The one that came to its end."""


class TraceCollector:
    """A `Follower`. On the event loop."""

    def __init__(self, latencies: Latencies) -> None:
        self._latencies = latencies
        self._asked: dict[bytes, PendingQuestion] = {}

    @contextlib.contextmanager
    def asking(self, mark: bytes) -> Iterator[PendingQuestion]:
        """While a question with this mark is on its way."""
        asked = self._asked[mark] = PendingQuestion()
        try:
            yield asked
        finally:
            del self._asked[mark]

    def began(self, journey: RecordTrace) -> None:
        if (asked := self._of(journey)) is not None:
            asked.seen = True

    def ended(self, journey: RecordTrace) -> None:
        asked = self._of(journey)
        if journey.outcome == DROPPED:
            if asked is not None:
                asked.dropped += 1
            return
        self._latencies.add((journey.ended - journey.taken) / 1e6)
        if asked is not None and not asked.journey.done():
            asked.journey.set_result(journey)

    def _of(self, journey: RecordTrace) -> PendingQuestion | None:
        if self._asked:
            for name, value in journey.headers:
                if name == MARK and value is not None and value in self._asked:
                    return self._asked[value]
        return None


_WORK = ("decode", "encode", "run", "spans", "pooling", "publish")
"""In the order in which it happens; a model does either of spans and pooling."""


def stages(journey: RecordTrace, sent: int) -> list[Stage]:
    """The whole way of a question that was sent at `sent` (nanoseconds since the epoch), from the
    topic to the commit, without a gap.
    """
    work = {step.name: (step.began, step.ended) for step in journey.steps}
    if journey.runs:
        runs = journey.runs
        work["run"] = min(run.began for run in runs), max(run.ended for run in runs)
    way = [("queue", journey.taken, journey.taken)]
    way += [(name, *work[name]) for name in _WORK if name in work]
    way.append(("commit", way[-1][2], journey.ended))
    made: list[Stage] = []
    reached = sent
    for name, began, ended in way:
        # Noted on several threads by a clock that may be set: none begins before the last ended.
        began = max(began, reached)
        ended = max(ended, began)
        made.append(Stage(name, *((moment - sent) / 1e6 for moment in (reached, began, ended))))
        reached = ended
    return made


def batches(journey: RecordTrace, sent: int) -> list[Batch]:
    """The micro-batches in the order of their beginning."""
    return [
        Batch(
            (run.began - sent) / 1e6,
            (run.ended - sent) / 1e6,
            run.windows,
            len(run.journeys),
            run.padded_tokens,
        )
        for run in sorted(journey.runs, key=lambda run: run.began)
    ]
