"""The console's trace listener: latencies of all records, and stages of the console's questions.

Also turns such a trace into the rows that the page shows (`stages`, `batches`).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.console.sampler import Latencies
from worker.observability.record_trace import DROPPED, RecordTrace

MARK = "x-correlation-id"
"""The header that identifies a question which the console sent. Its answer carries it too."""


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
    """A question that the console sent, and what this worker saw of it."""

    seen: bool = False
    """Whether this worker received it; otherwise another worker of the group did."""
    dropped: int = 0
    """How often its partition was revoked or restarted before the question was committed."""
    trace: "asyncio.Future[RecordTrace]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The first trace that ended with a commit."""


class TraceCollector:
    """A `TraceListener`. On the event loop."""

    def __init__(self, latencies: Latencies) -> None:
        self._latencies = latencies
        self._pending: dict[bytes, PendingQuestion] = {}

    @contextlib.contextmanager
    def asking(self, mark: bytes) -> Iterator[PendingQuestion]:
        """Watch for the question whose header `MARK` has this value."""
        question = self._pending[mark] = PendingQuestion()
        try:
            yield question
        finally:
            del self._pending[mark]

    def on_start(self, trace: RecordTrace) -> None:
        if (question := self._find(trace)) is not None:
            question.seen = True

    def on_end(self, trace: RecordTrace) -> None:
        question = self._find(trace)
        if trace.outcome == DROPPED:
            if question is not None:
                question.dropped += 1
            return
        self._latencies.add((trace.ended - trace.received) / 1e6)
        if question is not None and not question.trace.done():
            question.trace.set_result(trace)

    def _find(self, trace: RecordTrace) -> PendingQuestion | None:
        if self._pending:
            for name, value in trace.headers:
                if name == MARK and value is not None and value in self._pending:
                    return self._pending[value]
        return None


_STAGES = ("decode", "preprocess", "inference", "postprocess", "publish")
"""In the order in which they happen."""


def stages(trace: RecordTrace, sent: int) -> list[Stage]:
    """All stages from the topic to the commit, without a gap.

    `sent` is when the question was sent, in nanoseconds since the epoch.
    """
    intervals = {stage.name: (stage.began, stage.ended) for stage in trace.stages}
    if trace.batches:
        began = min(batch.began for batch in trace.batches)
        intervals["inference"] = began, max(batch.ended for batch in trace.batches)
    ordered = [("queue", trace.received, trace.received)]
    ordered += [(name, *intervals[name]) for name in _STAGES if name in intervals]
    ordered.append(("commit", ordered[-1][2], trace.ended))
    made: list[Stage] = []
    reached = sent
    for name, began, ended in ordered:
        # Several threads read a clock that may be set back: no stage begins before the last ended.
        began = max(began, reached)
        ended = max(ended, began)
        made.append(Stage(name, *((moment - sent) / 1e6 for moment in (reached, began, ended))))
        reached = ended
    return made


def batches(trace: RecordTrace, sent: int) -> list[Batch]:
    """The micro-batches in the order in which they began."""
    return [
        Batch(
            (batch.began - sent) / 1e6,
            (batch.ended - sent) / 1e6,
            batch.windows,
            batch.events,
            batch.padded_tokens,
        )
        for batch in sorted(trace.batches, key=lambda batch: batch.began)
    ]
