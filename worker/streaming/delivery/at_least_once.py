"""The two ways that outcomes reach the brokers, in one shape: what a session starts and stops, and
what each of its partitions delivers through.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from worker.kafka.consumer import GroupConsumer
from worker.kafka.errors import format_error
from worker.kafka.producer import IdempotentProducer
from worker.kafka.records import OutputRecord
from worker.settings import KafkaSettings
from worker.streaming.delivery.base import PartitionDelivery, StartOffsets

log = structlog.get_logger(__name__)


class AtLeastOnce:
    """One idempotent producer; the consumer commits, behind what was acknowledged."""

    commits: ClassVar[bool] = False

    def __init__(
        self, kafka: KafkaSettings, limits: Mapping[str, int], intake: GroupConsumer
    ) -> None:
        self._outbox = IdempotentProducer(kafka, limits)
        self._intake = intake

    async def start(self) -> None:
        await self._outbox.start()

    async def stop(self, *, seconds: float) -> None:
        await self._outbox.stop(seconds=seconds)

    def way(self, partition: TopicPartition) -> PartitionDelivery:
        return AtLeastOncePartition(self._outbox, self._intake, partition)


class AtLeastOncePartition:
    def __init__(
        self, outbox: IdempotentProducer, intake: GroupConsumer, partition: TopicPartition
    ) -> None:
        self._outbox = outbox
        self._intake = intake
        self._partition = partition

    async def begin(self) -> StartOffsets | None:
        try:
            committed = await self._intake.committed(self._partition)
            return StartOffsets(committed, await self._intake.position(self._partition))
        except KafkaError as error:
            # Records come without this, too; what is lost is the commit of an idle partition.
            log.info(
                "start_offset_unknown",
                partition=self._partition.partition,
                error=format_error(error),
            )
            return None

    async def deliver(self, records: Sequence[OutputRecord], offset: int) -> AsyncIterator[int]:  # noqa: ARG002
        futures = []
        for record in records:
            future = await self._outbox.send(record)
            # An error that nobody looks at, since one before it was raised, is complained of.
            future.add_done_callback(_look_at)
            futures.append(future)
        for future in futures:
            await self._outbox.wait_acknowledged(future)
            yield 1


def _look_at(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
