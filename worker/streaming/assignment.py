"""What a session is assigned: a lane for each partition, from assignment to revocation, and what
becomes of one that fails.
"""

import asyncio
from collections.abc import Iterable
from functools import partial

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced, UnknownError

from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.observability import metrics
from worker.settings import Settings
from worker.streaming.delivery.base import Delivery
from worker.streaming.delivery.offset_committer import Lanes, OffsetCommitter
from worker.streaming.partition import PartitionContext, PartitionProcessor

log = structlog.get_logger(__name__)

SESSION_ERRORS = (KafkaError, OSError, TimeoutError)
"""What another session, or another fence, may cure; anything else is a bug and ends the worker."""

REBUILDS = 3
"""Fences in a row that bring nothing to the brokers, before the whole session is opened anew."""


class Assignment:
    """The group's, to this member. Everything here happens on the event loop."""

    def __init__(
        self,
        settings: Settings,
        delivery: Delivery,
        shared: PartitionContext,
        committer: OffsetCommitter | None,
        broken: "asyncio.Future[None]",
    ) -> None:
        """Without a `committer`, to deliver is to commit. `broken` is given the error that only
        another session can cure.
        """
        self.lanes: Lanes = {}
        self._drain_seconds = settings.qa.drain_seconds
        # A zombie learns with a heartbeat that it is one; until then it must not take the fence
        # back from whoever has its partitions now.
        self._after_fenced = 1.5 * settings.kafka.heartbeat_interval_ms / 1000
        self._delivery = delivery
        self._shared = shared
        self._committer = committer
        self._broken = broken
        self._ending = False
        self._finishing = asyncio.Lock()

    def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        if self._ending:
            return  # a rebalance that ends while this member leaves
        for partition in partitions:
            self._open(partition)
        metrics.ASSIGNED.set(len(self.lanes))
        log.info("assigned", partitions=sorted(tp.partition for tp in self.lanes))
        self._shared.health.ready = True

    async def on_revoked(self) -> None:
        lanes, self.lanes = self.lanes, {}
        if not lanes:
            return
        log.info("revoked", partitions=sorted(tp.partition for tp in lanes))
        if self._committer is not None:
            self._committer.cancel()
        try:
            await self._finish(lanes)
        except KafkaError as error:
            # aiokafka would log it and go on.
            self.fail(error)
        finally:
            self._drop(lanes)

    def end(self) -> None:
        """Nothing is assigned any more, and a lane that fails stays as it is."""
        self._ending = True
        self._shared.health.ready = False

    async def finish(self) -> None:
        """Let what is in flight finish, within the time for draining, and commit what did."""
        await self._finish(self.lanes)

    def drop(self) -> list[PartitionProcessor]:
        """Close all lanes; what is in flight counts for nothing. They may still end."""
        lanes = list(self.lanes.values())
        self._drop(self.lanes)
        return lanes

    def fail(self, error: BaseException) -> None:
        """The session is to end with this error, if it has none yet."""
        if not self._broken.done():
            self._broken.set_exception(error)

    def _open(self, partition: TopicPartition, *, after: float = 0.0, rebuilt: int = 0) -> None:
        self.lanes[partition] = PartitionProcessor(
            partition.topic,
            partition.partition,
            self._delivery.way(partition),
            self._shared,
            failed=partial(self._failed, partition),
            after=after,
            rebuilt=rebuilt,
        )

    def _failed(
        self, partition: TopicPartition, lane: PartitionProcessor, error: BaseException
    ) -> None:
        """In exactly-once delivery a partition begins anew, alone, from its committed offset.

        Where that does not help it, nor at-least-once delivery, the session has to.
        """
        if self.lanes.get(partition) is not lane or self._ending:
            lane.close()  # it is being given up anyway, and nobody is to wait for it
            return
        rebuilt = 0 if lane.delivered else lane.rebuilt + 1
        cured_by_a_fence = (
            self._delivery.commits
            and isinstance(error, SESSION_ERRORS)
            and recovery_for(error) is not Recovery.FATAL
        )
        if not cured_by_a_fence or rebuilt > REBUILDS:
            self.fail(error)
            return
        metrics.REBUILDS.inc()
        # aiokafka knows no PRODUCER_FENCED (90).
        fenced = isinstance(error, (InvalidProducerEpoch, ProducerFenced, UnknownError))
        after = self._after_fenced if fenced else 0.0
        log.warning(
            "partition_restarted",
            partition=partition.partition,
            error=format_error(error),
            records=lane.ledger.in_flight,
            after=after,
        )
        lane.close()
        self._open(partition, after=after, rebuilt=rebuilt)

    async def _finish(self, lanes: Lanes) -> None:
        """One at a time: a stop in the middle of a rebalance waits for the lanes that it revoked,
        since closing the producer would cut them off.
        """
        async with self._finishing:
            drained = asyncio.create_task(_all_drained(lanes))
            waiting: list[asyncio.Future[None]] = [drained, self._broken]
            try:
                await asyncio.wait(
                    waiting, timeout=self._drain_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if not drained.done():
                    left = sum(lane.ledger.in_flight for lane in lanes.values())
                    log.warning("drain_timed_out", records=left, seconds=self._drain_seconds)
            finally:
                drained.cancel()
            if self._committer is not None:
                await self._committer.commit(lanes)

    def _drop(self, lanes: Lanes) -> None:
        for partition, lane in lanes.items():
            lane.close()
            for gauge in (metrics.LAG, metrics.POSITION):
                gauge.remove(partition.topic, str(partition.partition))
        lanes.clear()
        metrics.ASSIGNED.set(len(self.lanes))


async def _all_drained(lanes: Lanes) -> None:
    for lane in list(lanes.values()):
        await lane.drain()
