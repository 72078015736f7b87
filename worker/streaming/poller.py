"""The poll loop: wait for capacity, poll, hand each record to its partition.

Two rules keep it correct. The poll is never cancelled before the consumer has stopped (aiokafka
would stop watching max.poll.interval.ms). Nothing is awaited between the poll's return and the
look-up of the records' partitions, so both belong to the same assignment.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from worker.kafka.errors import format_error
from worker.kafka.records import InputRecord
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.partition import PartitionProcessor

log = structlog.get_logger(__name__)


class Consumer(Protocol):
    async def poll(self) -> list[InputRecord]: ...

    async def position(self, partition: TopicPartition) -> int: ...


class AssignedPartitions(Protocol):
    @property
    def partitions(self) -> Mapping[TopicPartition, PartitionProcessor]: ...


class RecordPoller:
    """`run` until `stop`."""

    def __init__(
        self, consumer: Consumer, limiter: InFlightLimiter, assignment: AssignedPartitions
    ) -> None:
        self._consumer = consumer
        self._limiter = limiter
        self._assignment = assignment
        self._stopping = False

    def stop(self) -> None:
        """Add no further record. A poll in progress ends with its time-out."""
        self._stopping = True

    async def run(self) -> None:
        """Raises `KafkaError`, and `StreamingError` for a topic that was truncated."""
        while not self._stopping:
            await self._limiter.wait_for_capacity()
            try:
                records = await self._consumer.poll()
            except ConsumerStoppedError:
                if self._stopping:
                    return
                raise
            # No await since the poll returned. A partition that is closed later refuses its
            # records; a partition that is not assigned any more is not found here.
            partitions = self._assignment.partitions
            added = [
                (record, partition)
                for record in records
                if (partition := partitions.get(TopicPartition(record.topic, record.partition)))
            ]
            # The consumer's position lies behind all of them already. A tracker that is told this
            # position while they wait for capacity would refuse them, and commit behind them.
            for record, partition in added:
                partition.tracker.begin(record.offset)
            for record, partition in added:
                await self._limiter.wait_for_capacity(record.size)
                if not self._stopping:
                    partition.add(record)
            if not records:
                await self._advance_idle_partitions()
            # With records at hand and capacity for them, nothing above suspends. The added records
            # must reach the engine, which counts them, before more are polled; and heartbeats need
            # the loop.
            await asyncio.sleep(0)

    async def _advance_idle_partitions(self) -> None:
        """After an empty poll: offsets up to the consumer's position hold no records (transaction
        markers, for instance) and must not count as lag.
        """
        for partition, processor in list(self._assignment.partitions.items()):
            if processor.tracker.position is None or processor.tracker.in_flight:
                continue
            try:
                position = await self._consumer.position(partition)
            except KafkaError as error:
                log.debug(
                    "position_unknown", partition=partition.partition, error=format_error(error)
                )
                continue
            processor.advance_to(position)
