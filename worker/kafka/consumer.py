"""A member of the consumer group: polls, reports rebalances, commits offsets, reads end offsets.

A thin wrapper around AIOKafkaConsumer that works around its faults: commits have deadlines, and
exactly one assignor is named, since it joins the group once for each. What to do with the records
and when to commit is decided in worker/streaming.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import OffsetAndMetadata

from worker.kafka._aiokafka import (
    MemberRemovedError,
    commit_only_as,
    force_close_consumer,
    group_member,
    observe_responses,
    send_to_any_broker,
)
from worker.kafka._aiokafka_records import RecordConsumer
from worker.kafka._aiokafka_static_member import (
    name_static_member,
    rejoin_for_new_topic,
    watch_partition_counts,
)
from worker.kafka.assignors import ASSIGNORS, note_generation
from worker.kafka.connection import connection_options
from worker.kafka.deadline import deadline
from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.kafka.metadata_request import TopicMetadataRequest
from worker.kafka.out_of_range import go_on_from
from worker.kafka.rebalance_listener import CountingListener, RebalanceListener
from worker.kafka.records import InputRecord, UnreadableBatch, to_input_record
from worker.kafka.start_offsets import GroupStart
from worker.kafka.stopped_partitions import StoppedPartitions
from worker.kafka.throttle import OnThrottled, ignore_throttled, throttle_seconds
from worker.kafka.topic_ids import read_topic_ids
from worker.kafka.topics import topic_names
from worker.observability import metrics
from worker.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """Where a partition ends."""

    readable: int
    """The offset after the last record that can be read: with read_committed, the last stable
    offset, which lies before the first record of an open transaction."""
    high_watermark: int
    """The offset after the last replicated record, as far as the consumer was told."""


class GroupConsumer:
    """Consumes the questions topics as a member of the group."""

    def __init__(
        self,
        settings: Settings,
        start: GroupStart,
        on_throttled: OnThrottled = ignore_throttled,
    ) -> None:
        """Raises `SettingsError`. Needs a running event loop."""
        kafka = settings.kafka
        self._start = start
        self._member = -1, ""
        self._topics = topic_names(settings)
        self._question_topics = list(settings.qa.question_topics)
        self._stopped = StoppedPartitions()
        self._consumer = RecordConsumer(
            max_batch_bytes=settings.qa.max_batch_bytes,
            skip_unreadable=settings.qa.skip_corrupt_batches,
            **connection_options(kafka),
            group_id=kafka.group_id,
            group_instance_id=kafka.group_instance_id,
            client_rack=kafka.client_rack,
            enable_auto_commit=False,
            auto_offset_reset="none",  # see start_offsets.py
            metadata_max_age_ms=kafka.metadata_max_age_ms,
            isolation_level=kafka.isolation_level,
            partition_assignment_strategy=[ASSIGNORS[kafka.partition_assignment_strategy]],
            session_timeout_ms=kafka.session_timeout_ms,
            heartbeat_interval_ms=kafka.heartbeat_interval_ms,
            rebalance_timeout_ms=kafka.rebalance_timeout_ms,
            max_poll_interval_ms=kafka.max_poll_interval_ms,
            max_partition_fetch_bytes=kafka.max_partition_fetch_bytes,
        )
        self._is_static = kafka.group_instance_id is not None
        self._awaits_new_topic = start.has_new_topic
        if kafka.group_instance_id is not None:
            name_static_member(self._consumer, kafka.group_instance_id)
        observe_responses(self._consumer, partial(_report_throttled, on_throttled))
        commit_only_as(self._consumer, lambda: self._member)

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group. Raises `KafkaError`."""
        # Subscribe first: only then does start() check permissions and join the group.
        counting = CountingListener(listener, self._assigned, self._stopped.forget_all)
        self._consumer.subscribe(self._question_topics, listener=counting)
        await self._consumer.start()

    async def stop(self, *, seconds: float) -> None:
        """Leave the group, which a static member does not, and close the connections; a poll in
        progress raises `ConsumerStoppedError`.

        Raises `TimeoutError` if leaving takes longer than `seconds`, or `KafkaError`: the
        connections are closed, and the group removes this member after its session timeout.
        """
        self._stopped.forget_all()
        task = asyncio.current_task()
        assert task is not None
        try:
            async with deadline(seconds, "answer to leaving the group"):
                await self._consumer.stop()
        except (KafkaError, TimeoutError):
            await force_close_consumer(self._consumer)
            raise
        except asyncio.CancelledError:
            await force_close_consumer(self._consumer)
            # aiokafka also raises the cancellation of its own fetch tasks.
            if task.cancelling():
                raise

    async def poll(
        self, partitions: Collection[TopicPartition] | None, *, max_records: int, seconds: float
    ) -> list[InputRecord]:
        """The next records of these partitions, or of all (None), in order within each partition;
        an empty list after `seconds`. Records of the others stay fetched. A poll of no partition
        counts for max.poll.interval.ms.

        A partition stops at a corrupt batch; see `stopped`.

        Never cancel this: aiokafka would not enforce max.poll.interval.ms any more.
        """
        if partitions is not None and not partitions:
            partitions = [TopicPartition("", -1)]  # aiokafka would take an empty list for all
        for partition in self._stopped.due():
            with contextlib.suppress(IllegalStateError):  # revoked meanwhile
                self._consumer.resume(partition)
        try:
            fetched = await self._consumer.getmany(
                *(partitions or ()), timeout_ms=round(seconds * 1000), max_records=max_records
            )
        except OffsetOutOfRangeError as error:
            ((partition, position),) = error.args[0].items()
            await go_on_from(self._consumer, partition, position)
            return []
        except NoOffsetForPartitionError:
            return []  # a partition that is assigned while this member leaves: it is not held
        records = []
        for partition, of_partition in fetched.items():
            for record in of_partition:
                if isinstance(record, UnreadableBatch) and not record.skipped:
                    self._consumer.pause(partition)
                    self._stopped.stop(record)
                else:
                    self._stopped.read(partition)
                    records.append(to_input_record(record))
        return records

    @property
    def stopped(self) -> Mapping[TopicPartition, str]:
        """The partitions that stand still at a batch that cannot be read, and why."""
        return self._stopped.reasons

    async def commit(
        self, offsets: Mapping[TopicPartition, int], *, seconds: float
    ) -> Exception | None:
        """Commit `offsets` within `seconds`. Returns None once they are committed, else the error.

        A failed commit is logged, not raised: the partition's next owner consumes the records
        again. Raises `KafkaError` if it is fatal (a missing permission, for example).
        """
        if not offsets:
            return None
        failure: Exception
        with_metadata = {
            partition: OffsetAndMetadata(offset, self.offset_metadata(partition.topic))
            for partition, offset in offsets.items()
        }
        try:
            async with deadline(seconds, "answer to the commit"):
                await self._consumer.commit(with_metadata)
        except (CommitFailedError, IllegalStateError, MemberRemovedError) as error:
            # Normal after a rebalance: other members own the partitions now.
            outcome, failure = "rebalanced", error
        except TimeoutError as error:
            outcome, failure = "timed_out", error
        except KafkaError as error:
            if recovery_for(error) is Recovery.FATAL:
                raise
            outcome, failure = "failed", error
        else:
            metrics.COMMITS.labels("done").inc()
            return None
        metrics.COMMITS.labels(outcome).inc()
        log.warning("commit_failed", outcome=outcome, reason=format_error(failure))
        return failure

    async def position(self, partition: TopicPartition) -> int:
        """The offset after the records of the last poll, and after transaction markers that follow
        them. Raises `KafkaError`.
        """
        return int(await self._consumer.position(partition))

    def hold(self, partition: TopicPartition) -> None:
        """Return no record of the partition, fetched or not, until `resume`."""
        self._stopped.forget(partition)
        with contextlib.suppress(IllegalStateError):  # revoked meanwhile: nothing to hold
            self._consumer.pause(partition)
            # Any position: without one, aiokafka would look for one and fail.
            self._consumer.seek(partition, 0)

    def resume(self, partition: TopicPartition, offset: int) -> bool:
        """Fetch from `offset` on. Returns False if the partition was revoked meanwhile."""
        try:
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)
        except IllegalStateError:
            return False
        return True

    async def start_offset(
        self, partition: TopicPartition, committed: OffsetAndMetadata | None
    ) -> int:
        """Where to `resume` a partition that was assigned.

        Raises `KafkaError`, and `StreamingError` if `committed` belongs to a deleted topic.
        """
        beginning = 0
        if committed is None:
            beginning = (await self._consumer.beginning_offsets([partition]))[partition]
        return self._start.offset(partition, committed, beginning)

    @property
    def member(self) -> tuple[int, str]:
        """Generation and member id of the assignment. A commit under them fails once the group has
        removed this member.
        """
        return self._member

    def offset_metadata(self, topic: str) -> str:
        """What is committed beside each offset of a questions topic."""
        return self._start.topic_ids.offset_metadata(topic)

    async def check_topics(self) -> None:
        """Raises `StreamingError` if a topic was deleted, also if it exists again; `KafkaError`."""
        if not self._start.topic_ids.ids:
            return
        response = await send_to_any_broker(self._consumer, TopicMetadataRequest(self._topics))
        self._start.topic_ids.check(read_topic_ids(response))

    async def ends(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, PartitionEnd]:
        """Where the partitions end. Contacts the brokers even without partitions, so it also shows
        that they answer. Raises `KafkaError`.
        """
        if not partitions:
            await self._consumer.topics()
            return {}
        readable = await self._consumer.end_offsets(list(partitions))
        assigned = self._consumer.assignment()  # it may have changed meanwhile
        watermarks = {each: self._consumer.highwater(each) for each in assigned}
        return {
            partition: PartitionEnd(end, max(end, watermarks.get(partition) or 0))
            for partition, end in readable.items()
        }

    def _assigned(self) -> None:
        self._member = group_member(self._consumer)
        note_generation(self._member[0])
        if self._is_static:
            watch_partition_counts(self._consumer)
            if self._awaits_new_topic:
                self._awaits_new_topic = False
                rejoin_for_new_topic(self._consumer)


def _report_throttled(on_throttled: OnThrottled, request: Any, response: Any) -> None:
    seconds = throttle_seconds(response)
    if seconds:
        on_throttled(type(request).__name__, seconds)
