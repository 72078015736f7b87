"""The poll loop: poll, wait for capacity, hand records to their partitions in turns.

Two rules keep it correct. The poll is never cancelled before the consumer has stopped (aiokafka
would stop watching max.poll.interval.ms). Nothing is awaited between the poll's return and the
look-up of the records' partitions, so both belong to the same assignment.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from worker.kafka.errors import format_error
from worker.kafka.records import InputRecord
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.fair_queue import FairQueue
from worker.streaming.partition import PartitionProcessor

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
"""A poll without records returns after this time."""

BLOCKED_POLL_SECONDS = 0.05
"""The same while records of other partitions wait until their partitions have delivered some."""

TURN_SHARE = 1.0
"""A partition's turn, as a share of the tokens that may be in flight. With shorter turns of more
partitions each transaction would hold fewer records, and there would be more of them: 1.7 times as
many with a share of 0.1. A partition that was idle does not wait for the end of a turn."""

BYTES_PER_TOKEN = 4
"""About: the tokens of a record are known only to the engine."""


class Consumer(Protocol):
    async def poll(
        self, partitions: Collection[TopicPartition] | None, *, max_records: int, seconds: float
    ) -> list[InputRecord]: ...

    async def position(self, partition: TopicPartition) -> int: ...


class AssignedPartitions(Protocol):
    @property
    def partitions(self) -> Mapping[TopicPartition, PartitionProcessor]: ...


class RecordPoller:
    """`run` until `stop`."""

    def __init__(
        self,
        consumer: Consumer,
        limiter: InFlightLimiter,
        assignment: AssignedPartitions,
        *,
        max_records: int,
    ) -> None:
        """`max_records` are polled ahead, or one of each partition where that is more."""
        self._consumer = consumer
        self._limiter = limiter
        self._assignment = assignment
        self._max_records = max_records
        self._polled: FairQueue[PartitionProcessor, InputRecord] = FairQueue(_size)
        self._advanced = float("-inf")
        self._stopping = False

    def stop(self) -> None:
        """Add no further record. A poll in progress ends with its time-out."""
        self._stopping = True

    async def run(self) -> None:
        """Raises `KafkaError`, and `StreamingError` for a topic that was truncated."""
        added = False
        while not self._stopping:
            waited = await self._limiter.wait_for_capacity()
            try:
                await self._poll(blocked=not added, waited=waited)
            except ConsumerStoppedError:
                if self._stopping:
                    return
                raise
            added = not self._stopping and self._add_next()
            # With records at hand and capacity for them, nothing above suspends. The added record
            # must reach the engine, which counts it, before the next; and heartbeats need the loop.
            await asyncio.sleep(0)

    async def _poll(self, *, blocked: bool, waited: bool) -> None:
        """Poll the partitions of which no record waits here: one with a backlog fills no poll.

        `blocked`: those that wait had no capacity just now, so there is time to wait for others.
        `waited`: time passed since the last poll.
        """
        if self._polled.in_turn and not blocked and not waited:
            return  # polled again when the turn ends
        assigned = self._assignment.partitions
        # None: of any partition, also of one that is assigned meanwhile.
        asked: list[TopicPartition] | None = None
        seconds = POLL_SECONDS
        full = {each for each, processor in assigned.items() if not processor.admits}
        if self._polled or full:
            asked = [
                each
                for each, processor in assigned.items()
                if processor not in self._polled and each not in full
            ]
            seconds = BLOCKED_POLL_SECONDS if blocked else 0.0
        if asked == [] and not full:
            if blocked and not waited:  # otherwise there was a change since
                await self._limiter.wait_for_change()
            return
        # Of no partition, while all wait for the schema registry: that may take longer than a
        # member of the group may go without a poll.
        max_records = max(1, self._max_records // max(1, len(assigned)))
        records = await self._consumer.poll(asked, max_records=max_records, seconds=seconds)
        # No await since the poll returned. A partition that is closed later refuses its records; a
        # partition that is not assigned any more is not found here.
        partitions = self._assignment.partitions
        for record in records:
            if partition := partitions.get(TopicPartition(record.topic, record.partition)):
                # The consumer's position lies behind the record already. A tracker that is told
                # this position while the record waits would refuse it, and commit behind it.
                partition.tracker.begin(record.offset)
                self._polled.append(partition, record)
        if not records:
            await self._advance_idle_partitions()

    def _add_next(self) -> bool:
        """Hand over the record whose turn it is. Returns False if there is none, or no capacity."""
        # A revoked partition drains what it has in flight; its next owner reads the rest.
        self._polled.retain(self._assignment.partitions.values())
        self._polled.turn_cost = int(TURN_SHARE * self._limiter.token_limit * BYTES_PER_TOKEN)
        partition = self._polled.choose(self._within_share)
        if partition is None:
            return False
        # A large record waits for its capacity here; smaller ones of others do not take it away.
        if not self._limiter.has_capacity(self._polled.first(partition).size):
            return False
        partition.add(self._polled.pop(partition))
        return True

    def _within_share(self, partition: PartitionProcessor, record: InputRecord) -> bool:
        if not partition.admits or not self._limiter.admits(record.topic):
            return False
        alone = len(self._assignment.partitions) == 1
        return alone or self._limiter.within_share(
            record.size, held=partition.in_flight_bytes, records=partition.in_flight_records
        )

    async def _advance_idle_partitions(self) -> None:
        """After an empty poll: offsets up to the consumer's position hold no records (transaction
        markers, for instance) and must not count as lag. At most once in `POLL_SECONDS`.
        """
        now = time.monotonic()
        if now < self._advanced + POLL_SECONDS:
            return
        self._advanced = now
        for partition, processor in list(self._assignment.partitions.items()):
            tracker = processor.tracker
            if tracker.position is None or tracker.in_flight or processor in self._polled:
                continue
            try:
                position = await self._consumer.position(partition)
            except KafkaError as error:
                log.debug(
                    "position_unknown",
                    topic=partition.topic,
                    partition=partition.partition,
                    error=format_error(error),
                )
                continue
            processor.advance_to(position)


def _size(record: InputRecord) -> int:
    return record.size
