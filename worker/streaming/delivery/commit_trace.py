"""Tells the listeners of a worker of each commit, and ends the traces of its records."""

import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from aiokafka import TopicPartition

from worker.kafka.errors import error_type, format_error
from worker.observability.record_trace import Commit, RecordTrace, TraceDispatcher
from worker.streaming.delivery.base import DeliveredRecord, NotDeliveredError


class CommitTrace:
    """A context around a commit; after it, `done` or `failed`.

    An error that leaves the context has failed the commit. The listeners hear nothing of a commit
    that is cancelled: its outcome is not known.
    """

    def __init__(
        self, traces: TraceDispatcher, partitions: Iterable[TopicPartition], records: int
    ) -> None:
        """`records` is the number of records whose offsets are committed."""
        self._traces = traces
        self._partitions = [(each.topic, each.partition) for each in partitions]
        self._records = records
        self._began = self._ended = 0

    def __enter__(self) -> "CommitTrace":
        self._began = time.time_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = time.time_ns()
        if isinstance(error, NotDeliveredError) and isinstance(error.__cause__, Exception):
            self.failed(error.__cause__)
        elif isinstance(error, Exception):
            self.failed(error)

    def failed(self, error: Exception) -> None:
        self._tell([], error)

    def done(self, committed: Sequence[DeliveredRecord]) -> None:
        """The offsets of these records are committed."""
        traced = [(each.trace, each.outcome) for each in committed if each.trace is not None]
        self._tell([trace for trace, _ in traced])
        for trace, outcome in traced:
            self._traces.end(trace, outcome)

    def _tell(self, traces: Sequence[RecordTrace], error: Exception | None = None) -> None:
        self._traces.committed(
            Commit(
                self._began,
                self._ended,
                self._partitions,
                self._records,
                traces,
                "" if error is None else error_type(error),
                "" if error is None else format_error(error),
            )
        )
