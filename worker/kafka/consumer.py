"""A member of the consumer group: polls, reports rebalances, commits offsets, reads end offsets.

A thin wrapper around AIOKafkaConsumer that works around its faults: commits have deadlines, and
exactly one eager assignor is named, since its others do not work. What to do with the records and
when to commit is decided in worker/streaming.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from worker.kafka.connection import connection_options
from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.kafka.records import InputRecord
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

    def __init__(self, settings: Settings) -> None:
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

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group. Raises `KafkaError`."""
        # Subscribe first: only then does start() check permissions and join the group.
        self._consumer.subscribe([self._topic], listener=_CountingListener(listener))
        await self._consumer.start()

    async def stop(self, *, seconds: float) -> None:
        """Leave the group; a poll in progress ends with an error.

        Raises `TimeoutError` where there was no time to leave: the connections are closed, and
        the group will miss this member after its session timeout.
        """
        task = asyncio.current_task()
        assert task is not None
        try:
            async with asyncio.timeout(seconds):
                await self._consumer.stop()
        except (KafkaError, TimeoutError):
            # Where a part of it has failed (by a right that was taken away, say), aiokafka does not
            # come to closing the rest.
            await self._force_close()
            raise
        except asyncio.CancelledError:
            # aiokafka awaits the fetches that it cancels, and lets their ends out as its own.
            await self._force_close()
            if task.cancelling():
                raise

    async def _force_close(self) -> None:
        """End what a stop has left. A join waits for the group's slowest member, and a stop for
        the join; nothing public ends that, but without connections it has ended.
        """
        fetcher = self._consumer._fetcher
        if fetcher is not None:
            left = [fetcher._fetch_task, *fetcher._pending_tasks]
            for fetch in left:
                fetch.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._consumer._client.close()

    async def poll(self) -> list[InputRecord]:
        """The next records, in order within a partition; none after a while without any.

        Never cancel this: aiokafka would stop watching max.poll.interval for good.
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
        """Commit, or give up after `seconds`. False where it was not done.

        Not to have committed is no error: the records are read again by whoever owns the
        partition then. Raises what no repetition can cure (rights, say).
        """
        if not offsets:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._consumer.commit(dict(offsets))
        except (CommitFailedError, IllegalStateError) as error:
            # Normal after a rebalance: the partitions are somebody else's now.
            outcome, reason = "rebalanced", format_error(error)
        except TimeoutError:
            outcome, reason = "timed_out", f"no answer within {seconds:g} s"
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
        """The offset that is read next: behind the records of the last poll, and behind what is
        there and is no record (markers of transactions, say). Raises `KafkaError`.
        """
        return int(await self._consumer.position(partition))

    def pause(self, partition: TopicPartition) -> None:
        """No record of it comes any more, fetched or not, until it is resumed."""
        with contextlib.suppress(IllegalStateError):  # not assigned any more: then none comes
            self._consumer.pause(partition)

    def resume(self, partition: TopicPartition, offset: int) -> bool:
        """Fetch it from `offset` on. False where it is not assigned any more."""
        try:
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)
        except IllegalStateError:
            return False
        return True

    async def committed(self, partition: TopicPartition) -> int | None:
        """What the group has committed for it, if anything. Raises `KafkaError`."""
        offset: int | None = await self._consumer.committed(partition)
        return offset

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after the last record of each. Asks the brokers, also where there is no
        partition to ask about. Raises `KafkaError` where none answers.
        """
        if not partitions:
            await self._consumer.topics()
            return {}
        offsets: dict[TopicPartition, int] = await self._consumer.end_offsets(list(partitions))
        return offsets


class _CountingListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Counts rebalances, and calls a `RebalanceListener` from aiokafka's."""

    def __init__(self, listener: RebalanceListener) -> None:
        self._listener = listener

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # aiokafka also calls this before the first assignment, without partitions.
        if revoked:
            metrics.REBALANCES.labels("revoked").inc()
        await self._listener.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        metrics.REBALANCES.labels("assigned").inc()
        self._listener.on_assigned(assigned)
