"""The consumer: polling, rebalances, commits, lag. Thin: what it all means is the session's.

aiokafka's traps are handled here: a poll is never cancelled, commits have deadlines, the
assignors that work are eager ones and exactly one is named.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

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
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

_ASSIGNORS = {"roundrobin": RoundRobinPartitionAssignor, "range": RangePartitionAssignor}

_POLL_MS = 500
"""A poll that finds nothing returns after this; the loop then looks at the worker's state."""


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """The questions topic, as a member of the group."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        *,
        assigned: Callable[[Iterable[TopicPartition]], None],
        revoked: Callable[[], Awaitable[None]],
    ) -> None:
        """`revoked` is awaited before partitions are given away, `assigned` called with new ones.

        The protocol is eager: a rebalance takes all partitions away before it gives any.
        """
        self._topic = topic
        self._assigned = assigned
        self._revoked = revoked
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

    async def start(self) -> None:
        # Subscribed first: with a topic, start() checks rights and joins the group.
        self._consumer.subscribe([self._topic], listener=self)
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
            await self._abandon()
            raise
        except asyncio.CancelledError:
            # aiokafka awaits the fetches that it cancels, and lets their ends out as its own.
            await self._abandon()
            if task.cancelling():
                raise

    async def _abandon(self) -> None:
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
            if recovery_for(error) is Recovery.STOP:
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

    # What aiokafka calls. What is raised here is logged by it and otherwise lost.

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # Called before the first assignment, too, with nothing.
        if revoked:
            metrics.REVOCATIONS.inc()
        await self._revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        metrics.REBALANCES.inc()
        self._assigned(assigned)
