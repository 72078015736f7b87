"""The partitions of which a corrupt batch is not skipped: each stands still, the others go on.

Responsible for when such a partition is read again, and for saying that it stands still; not for
the consumer, which is told to pause and to resume it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition

from worker.kafka.records import UnreadableBatch
from worker.observability import metrics

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
"""A batch may be corrupt only in transit: it is read again after this time, from then on."""

LOG_SECONDS = 300.0
"""Time between two log lines about the same batch."""


@dataclass(slots=True)
class _Stop:
    batch: UnreadableBatch
    retry_at: float
    log_at: float


class StoppedPartitions:
    """Of one consumer. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stops: dict[TopicPartition, _Stop] = {}

    @property
    def reasons(self) -> Mapping[TopicPartition, str]:
        """Why each of them stands still: one line with the offset."""
        return {
            partition: f"offset {stop.batch.offset}: {stop.batch.detail}"
            for partition, stop in self._stops.items()
        }

    def stop(self, batch: UnreadableBatch) -> None:
        """The partition cannot be read at `batch.offset`."""
        now = self._clock()
        partition = TopicPartition(batch.topic, batch.partition)
        last = self._stops.get(partition)
        same = last is not None and last.batch.offset == batch.offset
        log_at = last.log_at if last is not None and same else now
        if log_at <= now:
            log_at = now + LOG_SECONDS
            log.error(
                "partition_stopped",
                topic=batch.topic,
                partition=batch.partition,
                offset=batch.offset,
                next_offset=batch.next_offset,
                reason=batch.detail,
            )
        self._stops[partition] = _Stop(batch, now + RETRY_SECONDS, log_at)
        metrics.PARTITION_STOPPED.labels(batch.topic, str(batch.partition)).set(1)

    def due(self) -> list[TopicPartition]:
        """The partitions whose batch is to be read again; each is returned once for each stop."""
        now = self._clock()
        found = [each for each, stop in self._stops.items() if stop.retry_at <= now]
        for partition in found:
            self._stops[partition].retry_at = float("inf")
        return found

    def read(self, partition: TopicPartition) -> None:
        """Records of the partition were read: it goes on."""
        if partition in self._stops:
            offset = self._stops[partition].batch.offset
            log.info(
                "partition_resumed",
                topic=partition.topic,
                partition=partition.partition,
                offset=offset,
            )
            self.forget(partition)

    def forget(self, partition: TopicPartition) -> None:
        """The partition is revoked, or its consumption starts anew."""
        if self._stops.pop(partition, None) is not None:
            metrics.PARTITION_STOPPED.remove(partition.topic, str(partition.partition))

    def forget_all(self) -> None:
        for partition in list(self._stops):
            self.forget(partition)
