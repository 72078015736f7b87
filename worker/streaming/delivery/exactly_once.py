"""Exactly-once delivery: outcomes and offset of a partition in one transaction.

Each input partition has a transactional id of its own as its fence. A partition starts with three
steps: (1) InitProducerId for that id fences the previous owner and aborts its open transaction,
(2) the group's stable offset is read, (3) the consumer starts fetching there. Before (3) the
partition is held, so nothing is read that a previous owner may still commit.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.consumer import GroupConsumer
from worker.kafka.deadline import deadline
from worker.kafka.foreign_topics import ForeignTopics
from worker.kafka.refusals import RecordsRefusedError
from worker.kafka.throttle import OnThrottled, ThrottledError
from worker.kafka.transaction_size import TransactionSize
from worker.kafka.transactions import (
    TransactionalProducer,
    fetch_stable_offset,
    transactional_id,
)
from worker.observability import metrics
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
from worker.streaming.delivery.transaction_slots import TransactionSlots
from worker.streaming.offset_tracker import StartOffsets


class ExactlyOnce:
    """A transactional producer for each partition, over shared connections."""

    restarts_partition = True

    def __init__(
        self,
        kafka: KafkaSettings,
        limits: Mapping[str, int],
        consumer: GroupConsumer,
        policy: CommitPolicy,
        traces: TraceDispatcher,
        on_throttled: OnThrottled,
    ) -> None:
        """`limits` maps topics to `max.message.bytes`."""
        self._kafka = kafka
        self._limits = limits
        self._consumer = consumer
        self._policy = policy
        self._traces = traces
        self._client = BrokerClient(
            client_for_transactions(kafka),
            on_throttled,
            metadata_max_age=kafka.metadata_max_age_ms / 1000,
            max_request_size=kafka.max_request_size,
        )
        # A partition that is restarted or assigned again begins with the size it had.
        self._sizes: dict[TopicPartition, TransactionSize] = {}
        self._slots = TransactionSlots()

    @property
    def foreign_topics(self) -> ForeignTopics:
        return self._client.foreign_topics

    async def start(self) -> None:
        await self._client.start()

    async def run(self) -> None:
        # Each delivery commits; there is nothing to do periodically.
        await asyncio.Event().wait()

    def open(self, partition: TopicPartition, tracker: Tracker) -> PartitionDelivery:
        self._consumer.hold(partition)
        timeout = self._kafka.transaction_timeout_ms / 1000
        return ExactlyOncePartition(
            partition,
            tracker,
            TransactionalProducer(
                self._client,
                self._kafka,
                transactional_id(self._kafka.group_id, partition),
                self._limits,
                self._consumer.member,
                self._consumer.offset_metadata(partition.topic),
            ),
            self._client,
            self._consumer,
            self._kafka.group_id,
            self._policy,
            self._sizes.setdefault(partition, TransactionSize(timeout)),
            self._slots,
            self._traces,
        )

    async def commit(self, partitions: Collection[TopicPartition]) -> None:
        """A drained partition has committed with its last delivery."""

    async def close(self, partitions: Partitions, *, seconds: float) -> None:
        # A partition that still sends while the connections close would open new ones.
        partitions.close()
        await partitions.wait_closed()
        async with deadline(seconds, "end of the requests in flight"):
            await self._client.stop()


class ExactlyOncePartition:
    """One transactional id, from one fence on. After an error only a new fence helps."""

    commits_idle_position = True

    def __init__(
        self,
        partition: TopicPartition,
        tracker: Tracker,
        producer: TransactionalProducer,
        client: BrokerClient,
        consumer: GroupConsumer,
        group_id: str,
        policy: CommitPolicy,
        size: TransactionSize,
        slots: TransactionSlots,
        traces: TraceDispatcher,
    ) -> None:
        self.min_interval = policy.interval
        self._partition = partition
        self._tracker = tracker
        self._producer = producer
        self._client = client
        self._consumer = consumer
        self._group_id = group_id
        self._size = size
        self._slots = slots
        self._traces = traces

    @property
    def max_bytes(self) -> int:
        return self._size.limit

    async def start(self) -> StartOffsets | None:
        await self._producer.init_transactions()
        committed = await fetch_stable_offset(self._client, self._group_id, self._partition)
        offset = await self._consumer.start_offset(self._partition, committed)
        if committed is None:
            # Before reading: a group with an offset of one partition is not new to the others.
            async with self._slots.take():
                await self._producer.commit([], {self._partition: offset})
        if not self._consumer.resume(self._partition, offset):
            return None
        return StartOffsets(committed=offset, position=offset)

    async def deliver(self, batch: Sequence[ProcessedRecord]) -> AsyncIterator[ProcessedRecord]:
        offset = batch[-1].offset + 1 if batch else self._tracker.position
        assert offset is not None, "an unknown position cannot be committed"
        with CommitTrace(self._traces, [self._partition], len(batch)) as trace:
            await self._commit(batch, offset)
        for processed in batch:
            yield processed
        trace.done(self._tracker.mark_committed(offset))
        metrics.COMMITS.labels("done").inc()

    async def _commit(self, batch: Sequence[ProcessedRecord], offset: int) -> None:
        outputs = BatchOutputs(batch)
        try:
            async with self._slots.take():
                time = await self._producer.commit(outputs.records, {self._partition: offset})
        except RecordsRefusedError as error:
            await self._fence_again()
            raise NotDeliveredError(outputs.refused(error.refusals)) from error
        except ThrottledError as error:
            self._size.aborted()
            await self._fence_again()
            raise NotDeliveredError({}) from error
        except TimeoutError:
            self._size.aborted()
            raise
        outputs.acknowledged(time.receipts)
        size = sum(each.size for each in batch)
        self._size.committed(size, time.duration, time.throttled)

    async def _fence_again(self) -> None:
        """Abort the open transaction. Raises `ProducerFenced` if another worker has committed for
        the partition meanwhile.
        """
        await self._producer.init_transactions()
        committed = await fetch_stable_offset(self._client, self._group_id, self._partition)
        offset = None if committed is None else committed.offset
        if offset != self._tracker.committed:
            raise ProducerFenced(
                f"the group's offset is {offset}, not {self._tracker.committed}: another worker "
                f"has the partition"
            )
