"""Collects latencies of all records, and the traces of the questions that the console sent.

Also converts a trace into the rows that the page shows (`stages`, `batches`).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.console.sampler import Latencies
from worker.observability.record_trace import (
    DROPPED,
    OUT_OF_SAMPLE,
    RecordTrace,
    TraceListener,
)
from worker.observability.timings import CACHE

MARK = "x-correlation-id"
"""Header that identifies a question of the console. The answer has it too."""


class Stage(NamedTuple):
    """One stage of processing. Times are milliseconds since the question was sent."""

    name: str
    since: float
    """End of the previous stage. The question waited from `since` until `began`."""
    began: float
    ended: float


class Batch(NamedTuple):
    """A micro-batch with windows of the question. Times are as in `Stage`."""

    began: float
    ended: float
    windows: int
    """Number of windows in the batch, those of other records included."""
    records: int
    """Number of records with windows in the batch."""
    padded_tokens: int


@dataclass(slots=True, eq=False)
class PendingQuestion:
    """The state of a question that the console sent, as seen by this worker."""

    seen: bool = False
    """Whether this worker received it; otherwise another worker of the group did."""
    dropped: int = 0
    """How often its partition was revoked or restarted before the question was committed."""
    trace: "asyncio.Future[RecordTrace]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Result: the first trace of the question that ended with a commit."""


class TraceCollector(TraceListener):
    """A listener that collects latencies and the console's traces. Not thread-safe."""

    def __init__(self, latencies: Latencies) -> None:
        self._latencies = latencies
        self._pending: dict[bytes, PendingQuestion] = {}

    @contextlib.contextmanager
    def watch(self, mark: bytes) -> Iterator[PendingQuestion]:
        """Collects the trace of the question whose header `MARK` has this value."""
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
        if trace.outcome != OUT_OF_SAMPLE:
            self._latencies.add((trace.ended - trace.received) / 1e6)
        if question is not None and not question.trace.done():
            question.trace.set_result(trace)

    def _find(self, trace: RecordTrace) -> PendingQuestion | None:
        if self._pending:
            for name, value in trace.headers:
                if name == MARK and value is not None and value in self._pending:
                    return self._pending[value]
        return None


_STAGES = ("schema", "decode", "preprocess", "inference", "postprocess", CACHE, "publish")
"""The stages between queue and commit, in the order of processing. `CACHE` takes the place of the
three before it."""


def stages(trace: RecordTrace, sent_at: int) -> list[Stage]:
    """Returns all stages from the topic to the commit, without gaps.

    `sent_at` is the time of sending, in nanoseconds since the epoch.
    """
    intervals = {stage.name: (stage.began, stage.ended) for stage in trace.stages}
    if trace.batches:
        began = min(batch.began for batch in trace.batches)
        intervals["inference"] = began, max(batch.ended for batch in trace.batches)
    ordered = [("queue", trace.received, trace.received)]
    ordered += [(name, *intervals[name]) for name in _STAGES if name in intervals]
    ordered.append(("commit", ordered[-1][2], trace.ended))
    rows: list[Stage] = []
    since = sent_at
    for name, began, ended in ordered:
        # The times come from several threads, and the clock may be set back: make them monotonic.
        began = max(began, since)
        ended = max(ended, began)
        rows.append(Stage(name, *((time - sent_at) / 1e6 for time in (since, began, ended))))
        since = ended
    return rows


def batches(trace: RecordTrace, sent_at: int) -> list[Batch]:
    """Returns the micro-batches of the trace, in the order in which they began.

    `sent_at` is as in `stages`.
    """
    return [
        Batch(
            (batch.began - sent_at) / 1e6,
            (batch.ended - sent_at) / 1e6,
            batch.windows,
            batch.events,
            batch.padded_tokens,
        )
        for batch in sorted(trace.batches, key=lambda batch: batch.began)
    ]
