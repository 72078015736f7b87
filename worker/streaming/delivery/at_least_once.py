"""At-least-once delivery: idempotent producers, and commits behind what they acknowledged.

The offsets of all partitions are committed in one request, by time or by number of records. A
crash between an acknowledgement and its commit repeats the outcome.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from worker.kafka.broker_client import BrokerClient
from worker.kafka.consumer import GroupConsumer
from worker.kafka.deadline import deadline
from worker.kafka.foreign_topics import ForeignTopics
from worker.kafka.producer import IdempotentProducer, client_for_producers
from worker.kafka.records import BATCH_BYTES, OutputRecord
from worker.kafka.refusals import RecordsRefusedError
from worker.kafka.throttle import OnThrottled
from worker.kafka.transactions import fetch_stable_offset
from worker.observability.record_trace import TraceDispatcher
from worker.settings import KafkaSettings
from worker.streaming.delivery.base import (
    CommitPolicy,
    NotDeliveredError,
    PartitionDelivery,
    Partitions,
    ProcessedRecord,
    Tracker,
)
from worker.streaming.delivery.commit_trace import CommitTrace
from worker.streaming.delivery.outputs import BatchOutputs
from worker.streaming.offset_tracker import StartOffsets

COMMIT_TIMEOUT_SECONDS = 5.0
"""For one commit: after a drain of 15 s (the default) it ends within the rebalance's 25 s."""


class AtLeastOnce:
    """An idempotent producer for each partition, over shared connections; the periodic commit."""

    restarts_partition = False

    def __init__(
        self,
        kafka: KafkaSettings,
        limits: Mapping[str, int],
        consumer: GroupConsumer,
        policy: CommitPolicy,
        traces: TraceDispatcher,
        on_throttled: OnThrottled,
        *,
        producer_ids: bool = True,
    ) -> None:
        """`limits` maps topics to `max.message.bytes`; `producer_ids` is False for brokers that
        give none.
        """
        self._kafka = kafka
        self._producer_ids = producer_ids
        self._limits = limits
        self._client = BrokerClient(
            client_for_producers(kafka),
            on_throttled,
            metadata_max_age=kafka.metadata_max_age_ms / 1000,
            max_request_size=kafka.max_request_size,
        )
        self._consumer = consumer
        self._policy = policy
        self._traces = traces
        # A revoked partition's tracker is closed and needs no commit; the next one replaces it.
        self._trackers: dict[TopicPartition, Tracker] = {}
        self._commit_due = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None
        self._delivering = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def foreign_topics(self) -> ForeignTopics:
        return self._client.foreign_topics

    async def start(self) -> None:
        await self._client.start()

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
        producer = IdempotentProducer(
            self._client, self._kafka, self._limits, producer_ids=self._producer_ids
        )
        return AtLeastOncePartition(partition, tracker, producer, self._consumer, self)

    @contextlib.contextmanager
    def delivering(self) -> Iterator[None]:
        """While a partition publishes a batch and completes its records."""
        self._delivering += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._delivering -= 1
            if not self._delivering:
                self._idle.set()

    async def fetch_committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """The group's offset. Waits without a deadline for the coordinator. Raises `KafkaError` if
        repeating cannot help.
        """
        return await fetch_stable_offset(self._client, self._kafka.group_id, partition)

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
            # What is being published is completed and committed, if the brokers answer in time.
            async with deadline(seconds, "acknowledgement of what was sent"):
                await self._idle.wait()
        finally:
            try:
                await self._commit(self._trackers)
            finally:
                # A partition that still sends while the connections close would open new ones.
                partitions.close()
                await partitions.wait_closed()
                async with deadline(seconds, "end of the requests in flight"):
                    await self._client.stop()

    async def _commit(self, trackers: Mapping[TopicPartition, Tracker]) -> None:
        due = [
            (partition, tracker, tracker.position)
            for partition, tracker in trackers.items()
            if tracker.needs_commit and tracker.position is not None
        ]
        if not due:
            return
        offsets = {partition: position for partition, _, position in due}
        records = sum(tracker.uncommitted for _, tracker, _ in due)
        with CommitTrace(self._traces, offsets, records) as trace:
            error = await self._consumer.commit(offsets, seconds=COMMIT_TIMEOUT_SECONDS)
        if error is not None:
            trace.failed(error)
            return
        trace.done([each for _, tracker, at in due for each in tracker.mark_committed(at)])


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
        self._published: dict[int, list[OutputRecord]] = defaultdict(list)
        """Offset of a record to its outputs that were taken beside an output that was refused."""

    @property
    def max_bytes(self) -> int:
        return BATCH_BYTES

    async def start(self) -> StartOffsets | None:
        await self._producer.start()
        committed = await self._delivery.fetch_committed(self._partition)
        offset = await self._consumer.start_offset(self._partition, committed)
        if not self._consumer.resume(self._partition, offset):
            return None
        return StartOffsets(None if committed is None else committed.offset, offset)

    async def deliver(self, batch: Sequence[ProcessedRecord]) -> AsyncIterator[ProcessedRecord]:
        with self._delivery.delivering():
            left = BatchOutputs(batch, self._is_unpublished)
            try:
                left.acknowledged(await self._producer.publish(left.records))
            except RecordsRefusedError as error:
                left.acknowledged(error.acknowledged)
                for offset, output in left.with_offsets(error.acknowledged):
                    self._published[offset].append(output)
                await self._producer.start()
                raise NotDeliveredError(left.refused(error.refusals)) from error
            for processed in batch:
                self._published.pop(processed.offset, None)
                yield processed
        self._delivery.record_delivered(self._tracker)

    def _is_unpublished(self, offset: int, output: OutputRecord) -> bool:
        # By identity: a record that is replaced may get an output that equals a published one.
        return not any(output is each for each in self._published.get(offset, ()))
