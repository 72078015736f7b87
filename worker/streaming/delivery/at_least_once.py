"""At-least-once delivery: an idempotent producer, and commits behind what it acknowledged.

The offsets of all partitions are committed in one request, by time or by number of records. A
crash between an acknowledgement and its commit repeats the outcome.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from worker.kafka.consumer import GroupConsumer
from worker.kafka.producer import IdempotentProducer
from worker.observability.record_trace import TraceDispatcher
from worker.settings import KafkaSettings
from worker.streaming.delivery.base import (
    CommitPolicy,
    PartitionDelivery,
    Partitions,
    ProcessedRecord,
    Tracker,
    end_traces,
)
from worker.streaming.offset_tracker import StartOffsets

COMMIT_TIMEOUT_SECONDS = 5.0
"""For one commit: after a drain of 15 s (the default) it ends within the rebalance's 25 s."""


class AtLeastOnce:
    """One idempotent producer for all partitions, and the periodic commit."""

    restarts_partition = False

    def __init__(
        self,
        kafka: KafkaSettings,
        limits: Mapping[str, int],
        consumer: GroupConsumer,
        policy: CommitPolicy,
        traces: TraceDispatcher,
    ) -> None:
        """`limits` maps topics to `max.message.bytes`."""
        self._producer = IdempotentProducer(kafka, limits)
        self._consumer = consumer
        self._policy = policy
        self._traces = traces
        # A revoked partition's tracker is closed and needs no commit; the next one replaces it.
        self._trackers: dict[TopicPartition, Tracker] = {}
        self._commit_due = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._producer.start()

    async def run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._commit_due.wait(), self._policy.interval)
            self._commit_due.clear()
            self._committing = asyncio.create_task(self._commit(self._trackers))
            await asyncio.wait([self._committing])
            if not self._committing.cancelled():
                self._committing.result()

    def open(self, partition: TopicPartition, tracker: Tracker) -> PartitionDelivery:
        self._trackers[partition] = tracker
        self._consumer.hold(partition)
        return AtLeastOncePartition(partition, tracker, self._producer, self._consumer, self)

    def record_delivered(self, tracker: Tracker) -> None:
        """Commit early once a partition has enough records to commit."""
        if tracker.uncommitted >= self._policy.records:
            self._commit_due.set()

    async def commit(self, partitions: Collection[TopicPartition]) -> None:
        # A periodic commit that is still retried would be repeated under the group's next
        # generation, where it could rewind the offset.
        if self._committing is not None:
            self._committing.cancel()
        await self._commit({each: self._trackers[each] for each in partitions})

    async def close(self, partitions: Partitions, *, seconds: float) -> None:
        if self._committing is not None:
            self._committing.cancel()
        try:
            # The producer waits for what it sent; the partitions complete it, and it is committed.
            await self._producer.stop(seconds=seconds)
        finally:
            try:
                await self._commit(self._trackers)
            finally:
                partitions.close()
                await partitions.wait_closed()

    async def _commit(self, trackers: Mapping[TopicPartition, Tracker]) -> None:
        due = [
            (partition, tracker, tracker.position)
            for partition, tracker in trackers.items()
            if tracker.needs_commit and tracker.position is not None
        ]
        offsets = {partition: position for partition, _, position in due}
        if await self._consumer.commit(offsets, seconds=COMMIT_TIMEOUT_SECONDS):
            for _, tracker, position in due:
                committed = tracker.mark_committed(position)
                for record in committed:
                    if record.trace is not None:
                        record.trace.add_stage("commit", record.trace.stages[-1].ended)
                end_traces(self._traces, committed)


class AtLeastOncePartition:
    """Delivers at once; commits are the periodic commit's job."""

    min_interval = 0.0
    commits_idle_position = False

    def __init__(
        self,
        partition: TopicPartition,
        tracker: Tracker,
        producer: IdempotentProducer,
        consumer: GroupConsumer,
        delivery: AtLeastOnce,
    ) -> None:
        self._partition = partition
        self._tracker = tracker
        self._producer = producer
        self._consumer = consumer
        self._delivery = delivery

    async def start(self) -> StartOffsets | None:
        committed = await self._consumer.committed(self._partition)
        offset = await self._consumer.start_offset(self._partition, committed)
        if not self._consumer.resume(self._partition, offset):
            return None
        return StartOffsets(None if committed is None else committed.offset, offset)

    async def deliver(self, batch: Sequence[ProcessedRecord]) -> AsyncIterator[ProcessedRecord]:
        futures = []
        for processed in batch:
            future = await self._producer.send(processed.output)
            # After the first failure the remaining futures are not awaited: mark their exceptions
            # as retrieved, or asyncio logs them.
            future.add_done_callback(_retrieve_exception)
            futures.append(future)
        for processed, future in zip(batch, futures, strict=True):
            await self._producer.wait_acknowledged(future)
            yield processed
        self._delivery.record_delivered(self._tracker)


def _retrieve_exception(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
