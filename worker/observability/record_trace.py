"""The trace of a record, from its poll to its commit, for the listeners of a worker.

The streaming layer creates a trace when it polls a record, adds stages and sent messages to it on
the event loop, copies the engine's timings to it, and ends it after the commit. Without a listener
there are no traces. All times are nanoseconds since the epoch (`time.time_ns`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from worker.observability.client_operations import Header, Poll, ReceivedMessage, Send
from worker.observability.timings import BatchTiming, ReadTimings, StageTiming

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
    key: bytes | None = None
    is_tombstone: bool = False
    """Whether the input record has no value. The trace does not keep the value."""
    received: int = field(default_factory=time.time_ns)
    stages: list[StageTiming] = field(default_factory=list)
    batches: list[BatchTiming] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    """The messages that were sent for the record, and those that failed."""
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
    detail: str = ""
    """Of a rejection; one line."""
    ended: int = 0
    deadline: float | None = None
    """Unix time in seconds after which the outcome is not needed, if the record has a deadline."""
    expired: str = ""
    """What `QA_EXPIRED` did with the record, if its deadline passed before the model read it."""
    new_context: Callable[[], Sequence[Header]] | None = None
    """Returns the trace headers of one message that will be sent for the record. None if the
    messages keep the trace headers of the record."""

    @property
    def failure(self) -> str:
        """`DROPPED` or the reason of the rejection; empty if the record was processed."""
        return "" if self.outcome in (ANSWERED, UNSURE, OUT_OF_SAMPLE) else self.outcome

    def add_stage(self, name: str, began: int) -> None:
        """Add a stage that ends now."""
        self.stages.append(StageTiming(name, began, time.time_ns()))

    def add_timings(self, timings: ReadTimings) -> None:
        """Add what the engine measured."""
        self.stages += timings.stages
        self.batches += timings.batches
        self.cache = timings.cache
        self.attributes |= timings.attributes


@dataclass(frozen=True, slots=True)
class Commit:
    """A request to commit offsets, or the transaction of one partition. Times are as in `Poll`."""

    began: int
    ended: int
    partitions: Sequence[tuple[str, int]]
    """Topics and partitions of the offsets."""
    records: int
    """Number of records whose offsets are committed: 0 if only the position advances."""
    traces: Sequence[RecordTrace]
    """Of these records; empty if the commit failed."""
    error_type: str = ""
    """As in `Send`."""
    error: str = ""


log = structlog.get_logger(__name__)


class TraceListener:
    """Receives traces on the event loop. Its methods must not block; those that a listener does not
    define do nothing. An error that one raises is logged, and the worker goes on.
    """

    def on_start(self, trace: RecordTrace) -> None:
        """Called when a record is handed to its partition."""

    def on_end(self, trace: RecordTrace) -> None:
        """Called once for each started trace, with `outcome` and `ended` set."""

    def on_connect(self, cluster_id: str) -> None:
        """Called when a session begins, with the id of its Kafka cluster, or an empty string."""

    def on_poll(self, poll: Poll) -> None:
        """Called after a poll that returned records or failed."""

    def on_commit(self, commit: Commit) -> None:
        """Called after a commit, before the traces of its records end."""


class TraceDispatcher:
    """Creates and ends traces, and calls the listeners."""

    def __init__(self, *listeners: TraceListener) -> None:
        self._listeners = listeners

    def start(self, record: ReceivedMessage) -> RecordTrace | None:
        """Creates the trace of a record. Returns `None` without listeners."""
        if not self._listeners:
            return None
        trace = RecordTrace(
            record.topic,
            record.partition,
            record.offset,
            record.headers,
            record.key,
            record.value is None,
        )
        for listener in self._listeners:
            with _logged_errors(listener):
                listener.on_start(trace)
        return trace

    def end(self, trace: RecordTrace, outcome: str) -> None:
        """Ends the trace now. `outcome` is as in `RecordTrace`."""
        trace.outcome = outcome
        trace.ended = time.time_ns()
        for listener in self._listeners:
            with _logged_errors(listener):
                listener.on_end(trace)

    def connected(self, cluster_id: str) -> None:
        """`cluster_id` is as in `TraceListener`."""
        for listener in self._listeners:
            with _logged_errors(listener):
                listener.on_connect(cluster_id)

    def polled(self, poll: Poll) -> None:
        for listener in self._listeners:
            with _logged_errors(listener):
                listener.on_poll(poll)

    def committed(self, commit: Commit) -> None:
        """Also called for a commit that failed."""
        for listener in self._listeners:
            with _logged_errors(listener):
                listener.on_commit(commit)


@contextmanager
def _logged_errors(listener: TraceListener) -> Iterator[None]:
    """Answers do not depend on a listener: its errors end here."""
    try:
        yield
    except Exception:
        log.exception("trace_listener_failed", listener=type(listener).__name__)
