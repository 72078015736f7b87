"""Records that wait until the schema registry has answered for their schema.

Such a record is not decoded yet, so it holds its bytes alone. It may wait for hours: meanwhile it
takes no capacity away from other partitions, and its own partition adds few records behind it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from aiokafka import TopicPartition

from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.streaming.backpressure import InFlightLimiter

MAX_RECORDS, MAX_BYTES = 64, 16 * 1024
"""In flight of a partition in which a record waits. With one alone, each of many ids that the
registry does not have would delay its partition by the time of its confirmation."""


class ValueReader(Protocol):
    """Reads values that are not JSON."""

    @property
    def unavailable(self) -> str | None:
        """Why the registry cannot be asked, while a record waits for it."""

    async def read(self, record: InputRecord, wait: AbstractContextManager[None]) -> InputRecord:
        """The record with its value as JSON. Within `wait` it waits for the registry, without a
        deadline. Raises `Rejected`.
        """


class SchemaWaits:
    """The records of one partition that wait. Everything here runs on the event loop."""

    def __init__(
        self, partition: TopicPartition, limiter: InFlightLimiter, began: Callable[[], None]
    ) -> None:
        """`began` is called when a record begins to wait."""
        self._labels = partition.topic, str(partition.partition)
        self._limiter = limiter
        self._began = began
        self._sizes: dict[int, int] = {}
        """Offset to size."""

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def first(self) -> int | None:
        """The lowest offset of a record that waits."""
        return min(self._sizes, default=None)

    def admits(self, records: int, size: int) -> bool:
        """Whether the partition may add a record to so many in flight with so many bytes, while
        one waits.
        """
        return records < MAX_RECORDS and size < MAX_BYTES

    def begin(self, record: InputRecord) -> None:
        self._sizes[record.offset] = record.size
        self._limiter.release(record.size)
        metrics.SCHEMA_WAITING_RECORDS.labels(*self._labels).set(len(self))
        self._began()

    def end(self, record: InputRecord) -> None:
        """No effect on a record that was discarded meanwhile."""
        if self.discard(record):
            self._limiter.acquire(record.size)
            self._limiter.wake()

    def discard(self, record: InputRecord) -> bool:
        """Returns whether the record waited, so that it holds no capacity."""
        waited = self._sizes.pop(record.offset, None) is not None
        if waited:
            metrics.SCHEMA_WAITING_RECORDS.labels(*self._labels).set(len(self))
        return waited


class SchemaWait(AbstractContextManager[None]):
    """Around the wait of one record; once at most."""

    def __init__(self, record: InputRecord, waits: SchemaWaits | None) -> None:
        self._record = record
        self._waits = waits
        self._started = 0.0
        self.seconds = 0.0
        self.began = self.ended = 0
        """In nanoseconds since the epoch; 0 if the record did not wait. `ended` is also 0 if its
        partition discarded it while it waited.
        """

    def __enter__(self) -> None:
        self.began, self._started = time.time_ns(), time.perf_counter()
        if self._waits is not None:
            self._waits.begin(self._record)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, asyncio.CancelledError):
            self.ended, self.seconds = time.time_ns(), time.perf_counter() - self._started
        if self._waits is not None:
            self._waits.end(self._record)
