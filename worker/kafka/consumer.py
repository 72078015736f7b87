"""A member of the consumer group: polls, reports rebalances, commits offsets, reads end offsets.

A thin wrapper around AIOKafkaConsumer that works around its faults: commits have deadlines, and
exactly one eager assignor is named, since its others do not work. What to do with the records and
when to commit is decided in worker/streaming.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from worker.kafka._aiokafka import force_close_consumer, observe_responses
from worker.kafka.connection import connection_options
from worker.kafka.deadline import deadline
from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.kafka.records import InputRecord
from worker.kafka.throttle import OnThrottled, ignore_throttled, throttle_seconds
from worker.observability import metrics
from worker.settings import Settings

log = structlog.get_logger(__name__)

_ASSIGNORS = {"roundrobin": RoundRobinPartitionAssignor, "range": RangePartitionAssignor}

_POLL_MS = 500
"""A poll without records returns after this time."""


class RebalanceListener(Protocol):
    """Rebalances are eager: each revokes all partitions before it assigns any.

    Neither method may raise: aiokafka would log the error and continue.
    """

    async def on_revoked(self) -> None:
        """All partitions are revoked. The group waits until this returns."""

    def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions, and no others, are assigned from now on."""


class GroupConsumer:
    """Consumes the questions topic as a member of the group."""

    def __init__(self, settings: Settings, on_throttled: OnThrottled = ignore_throttled) -> None:
        """Raises `SettingsError`. Needs a running event loop."""
        kafka = settings.kafka
        self._topic = settings.qa.questions_topic
        self._poll_records = kafka.max_poll_records
        self._consumer = AIOKafkaConsumer(
            **connection_options(kafka),
            group_id=kafka.group_id,
            enable_auto_commit=False,
            auto_offset_reset=kafka.auto_offset_reset,
            isolation_level=kafka.isolation_level,
            partition_assignment_strategy=[_ASSIGNORS[kafka.partition_assignment_strategy]],
            session_timeout_ms=kafka.session_timeout_ms,
            heartbeat_interval_ms=kafka.heartbeat_interval_ms,
            rebalance_timeout_ms=kafka.rebalance_timeout_ms,
            max_poll_interval_ms=kafka.max_poll_interval_ms,
            max_partition_fetch_bytes=kafka.max_partition_fetch_bytes,
        )
        observe_responses(self._consumer, partial(_report_throttled, on_throttled))

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group. Raises `KafkaError`."""
        # Subscribe first: only then does start() check permissions and join the group.
        self._consumer.subscribe([self._topic], listener=_CountingListener(listener))
        await self._consumer.start()

    async def stop(self, *, seconds: float) -> None:
        """Leave the group and close the connections; a poll in progress raises
        `ConsumerStoppedError`.

        Raises `TimeoutError` if leaving takes longer than `seconds`, or `KafkaError`: the
        connections are closed, and the group removes this member after its session timeout.
        """
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

    async def poll(self) -> list[InputRecord]:
        """The next records, in order within each partition; an empty list after 0.5 s.

        Never cancel this: aiokafka would not enforce max.poll.interval.ms any more.
        """
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=self._poll_records)
        return [
            InputRecord(
                record.topic,
                record.partition,
                record.offset,
                record.key,
                record.value,
                record.headers,
                record.timestamp if record.timestamp >= 0 else None,
            )
            for records in fetched.values()
            for record in records
        ]

    async def commit(self, offsets: Mapping[TopicPartition, int], *, seconds: float) -> bool:
        """Commit `offsets` within `seconds`. Returns whether they are committed.

        A failed commit is logged, not raised: the partition's next owner consumes the records
        again. Raises `KafkaError` if it is fatal (a missing permission, for example).
        """
        if not offsets:
            return True
        try:
            async with deadline(seconds, "answer to the commit"):
                await self._consumer.commit(dict(offsets))
        except (CommitFailedError, IllegalStateError) as error:
            # Normal after a rebalance: other members own the partitions now.
            outcome, reason = "rebalanced", format_error(error)
        except TimeoutError as error:
            outcome, reason = "timed_out", format_error(error)
        except KafkaError as error:
            if recovery_for(error) is Recovery.FATAL:
                raise
            outcome, reason = "failed", format_error(error)
        else:
            metrics.COMMITS.labels("done").inc()
            return True
        metrics.COMMITS.labels(outcome).inc()
        log.warning("commit_failed", outcome=outcome, reason=reason)
        return False

    async def position(self, partition: TopicPartition) -> int:
        """The offset after the records of the last poll, and after transaction markers that follow
        them. Raises `KafkaError`.
        """
        return int(await self._consumer.position(partition))

    def pause(self, partition: TopicPartition) -> None:
        """Return no record of the partition, fetched or not, until `resume`."""
        with contextlib.suppress(IllegalStateError):  # revoked meanwhile: nothing to pause
            self._consumer.pause(partition)

    def resume(self, partition: TopicPartition, offset: int) -> bool:
        """Fetch from `offset` on. Returns False if the partition was revoked meanwhile."""
        try:
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)
        except IllegalStateError:
            return False
        return True

    async def committed(self, partition: TopicPartition) -> int | None:
        """The group's committed offset, or None. Raises `KafkaError`."""
        offset: int | None = await self._consumer.committed(partition)
        return offset

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition. Contacts the brokers even without
        partitions, so it also shows that they answer. Raises `KafkaError`.
        """
        if not partitions:
            await self._consumer.topics()
            return {}
        offsets: dict[TopicPartition, int] = await self._consumer.end_offsets(list(partitions))
        return offsets


def _report_throttled(on_throttled: OnThrottled, request: Any, response: Any) -> None:
    seconds = throttle_seconds(response)
    if seconds:
        on_throttled(type(request).__name__, seconds)


class _CountingListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Counts rebalances, and calls a `RebalanceListener` from aiokafka's."""

    def __init__(self, listener: RebalanceListener) -> None:
        self._listener = listener

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # aiokafka also calls this before the first assignment, without partitions.
        if revoked:
            metrics.REVOCATIONS.inc()
        await self._listener.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        metrics.REBALANCES.inc()
        self._listener.on_assigned(assigned)
