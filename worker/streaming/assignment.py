"""The partitions that the group assigned to this member: opened, restarted, drained and closed.

Each partition runs in a task of its own, a loop that restarts it after an error that a new fence
cures. What that does not cure fails the assignment, and with it the session.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    UnknownMemberIdError,
)

from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.observability import metrics
from worker.settings import Settings
from worker.streaming.delivery.base import Tracker
from worker.streaming.partition import PartitionProcessor
from worker.streaming.partition_context import PartitionContext

log = structlog.get_logger(__name__)

SESSION_ERRORS = (KafkaError, OSError, TimeoutError)
"""Errors that a new fence or a new session may cure. Any other error is a bug and ends the worker.
"""

FENCED = (
    IllegalGenerationError,
    InvalidProducerEpoch,
    ProducerFenced,
    UnknownMemberIdError,
)
"""Another owner took a fence, or the group removed this member: so it learns at its next heartbeat.
"""

_PARTITION_GAUGES = (
    metrics.LAG,
    metrics.HELD_UP_RECORDS,
    metrics.POSITION,
    metrics.SCHEMA_WAITING_RECORDS,
)

MAX_RESTARTS = 3
"""Consecutive restarts of a partition without a successful delivery; then the session ends."""


class Assignment:
    """The rebalance listener. Everything here runs on the event loop."""

    def __init__(self, settings: Settings, context: PartitionContext) -> None:
        self._drain_seconds = settings.qa.drain_seconds
        # A restart waits longer than one heartbeat, or it would fence the new owner.
        self._fenced_delay = 1.5 * settings.kafka.heartbeat_interval_ms / 1000
        self._context = context
        self._delivery = context.delivery
        self._partitions: dict[TopicPartition, PartitionProcessor] = {}
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._closed_tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = False
        self._discarded = 0
        self._draining = asyncio.Lock()

    @property
    def partitions(self) -> Mapping[TopicPartition, PartitionProcessor]:
        return self._partitions

    @property
    def trackers(self) -> dict[TopicPartition, Tracker]:
        return {partition: each.tracker for partition, each in self._partitions.items()}

    @property
    def waiting(self) -> list[TopicPartition]:
        """Partitions in which a record waits for the schema registry."""
        return [each for each, processor in self._partitions.items() if processor.waits_for_schema]

    # The rebalance listener. The protocol is eager: a rebalance revokes all partitions first.

    def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        if self._ending:
            return  # a rebalance that ends while this member leaves
        for partition in partitions:
            processor = self._open(partition)
            self._tasks[partition] = asyncio.create_task(self._run(partition, processor))
        metrics.ASSIGNED_PARTITIONS.set(len(self._partitions))
        log.info("assigned", **_numbers(self._partitions))
        self._context.health.ready = True

    async def on_revoked(self) -> None:
        partitions, self._partitions = self._partitions, {}
        tasks, self._tasks = self._tasks, {}
        if not partitions:
            return
        log.info("revoked", **_numbers(partitions))
        try:
            await self._drain(partitions)
        except KafkaError as error:
            self._fail(error)  # aiokafka would log it and continue
        finally:
            self._close(partitions, tasks)

    # The session.

    async def run(self) -> None:
        """Never returns. Raises the first error that no restart of a partition cures."""
        await asyncio.shield(self._failure)

    def end(self) -> None:
        """From now on nothing is assigned and no partition restarts."""
        self._ending = True
        self._context.health.ready = False

    async def drain(self) -> None:
        """Let what is in flight finish within QA_DRAIN_SECONDS, and commit what did."""
        await self._drain(self._partitions)

    def close(self) -> None:
        """Discard what is in flight and cancel the partitions' tasks; see `wait_closed`."""
        self._close(self._partitions, self._tasks)
        self._failure.cancel()

    async def wait_closed(self) -> None:
        """Wait until the tasks of closed partitions have ended: they use the connections."""
        await asyncio.gather(*self._closed_tasks, return_exceptions=True)

    def _open(self, partition: TopicPartition) -> PartitionProcessor:
        self._partitions[partition] = processor = PartitionProcessor(partition, self._context)
        return processor

    async def _run(self, partition: TopicPartition, processor: PartitionProcessor) -> None:
        restarts = 0
        while True:
            try:
                await processor.run()
            except Exception as error:
                if self._partitions.get(partition) is not processor or self._ending:
                    # It is being closed anyway; a drain must not wait for it.
                    self._discarded += processor.close()
                    return
                restarts = 0 if processor.made_progress else restarts + 1
                if not self._is_cured_by_restart(error) or restarts > MAX_RESTARTS:
                    self._fail(error)
                    return
                fenced = isinstance(error, FENCED)
                delay = self._fenced_delay if fenced else 0.0
                metrics.PARTITION_RESTARTS.inc()
                log.warning(
                    "partition_restarted",
                    topic=partition.topic,
                    partition=partition.partition,
                    error=format_error(error),
                    records=processor.tracker.in_flight,
                    delay=delay,
                )
                processor.close()
                processor = self._open(partition)
                await asyncio.sleep(delay)

    def _is_cured_by_restart(self, error: Exception) -> bool:
        return (
            self._delivery.restarts_partition
            and isinstance(error, SESSION_ERRORS)
            and recovery_for(error) is not Recovery.FATAL
        )

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # retrieved, if the session ends for another error

    async def _drain(self, partitions: Mapping[TopicPartition, PartitionProcessor]) -> None:
        """One drain at a time: a stop in the middle of a rebalance waits for the revoked
        partitions, since closing the producer would cut them off.
        """
        async with self._draining:
            drained = asyncio.create_task(_wait_drained(partitions.values()))
            waiting: list[asyncio.Future[Any]] = [drained, self._failure]
            try:
                await asyncio.wait(
                    waiting,
                    timeout=self._drain_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not drained.done():
                    left = sum(each.in_flight_records for each in partitions.values())
                    log.warning("drain_timed_out", records=left, seconds=self._drain_seconds)
            finally:
                drained.cancel()
            await self._delivery.commit(list(partitions))

    def _close(
        self,
        partitions: dict[TopicPartition, PartitionProcessor],
        tasks: dict[TopicPartition, asyncio.Task[None]],
    ) -> None:
        for partition, processor in partitions.items():
            self._discarded += processor.close()
            for gauge in _PARTITION_GAUGES:
                gauge.remove(partition.topic, str(partition.partition))
        for task in tasks.values():
            task.cancel()
            self._closed_tasks.add(task)
            task.add_done_callback(self._closed_tasks.discard)
        if self._discarded:
            log.warning("records_discarded", records=self._discarded)
            self._discarded = 0
        partitions.clear()
        tasks.clear()
        metrics.ASSIGNED_PARTITIONS.set(len(self._partitions))


def _numbers(partitions: Iterable[TopicPartition]) -> dict[str, Any]:
    """The partitions for the log: their numbers, and the same by topic."""
    topics: dict[str, list[int]] = {}
    for each in sorted(partitions):
        topics.setdefault(each.topic, []).append(each.partition)
    return {"partitions": sorted(each.partition for each in partitions), "topics": topics}


async def _wait_drained(partitions: Iterable[PartitionProcessor]) -> None:
    """In a task of its own: asyncio logs the exception of a gathering future that is cancelled."""
    await asyncio.gather(*(each.drain() for each in partitions))
