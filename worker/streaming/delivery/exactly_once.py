"""Exactly-once delivery."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar

from aiokafka import TopicPartition

from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.consumer import GroupConsumer
from worker.kafka.records import OutputRecord
from worker.kafka.transactions import TransactionalProducer
from worker.settings import KafkaSettings
from worker.streaming.delivery.base import PartitionDelivery, StartOffsets


class ExactlyOnce:
    """A transaction for each partition, behind its fence; nothing is fetched before that stands."""

    commits: ClassVar[bool] = True

    def __init__(
        self, kafka: KafkaSettings, limits: Mapping[str, int], intake: GroupConsumer
    ) -> None:
        self._kafka = kafka
        self._limits = limits
        self._intake = intake
        self._link = BrokerClient(client_for_transactions(kafka))

    async def start(self) -> None:
        await self._link.start()

    async def stop(self, *, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._link.stop()

    def way(self, partition: TopicPartition) -> PartitionDelivery:
        self._intake.pause(partition)
        transactions = TransactionalProducer(self._link, self._kafka, partition, self._limits)
        return ExactlyOncePartition(transactions, self._intake, partition)


class ExactlyOncePartition:
    def __init__(
        self, transactions: TransactionalProducer, intake: GroupConsumer, partition: TopicPartition
    ) -> None:
        self._transactions = transactions
        self._intake = intake
        self._partition = partition

    async def begin(self) -> StartOffsets | None:
        offset = await self._transactions.fence()
        if offset is None:
            # Nothing is read before there is an offset to come back to: the consumer would stand
            # behind what was read in vain, and the reset policy ("latest") might skip it.
            offset = await self._intake.position(self._partition)
            await self._transactions.commit([], offset)
        return (
            StartOffsets(offset, offset) if self._intake.resume(self._partition, offset) else None
        )

    async def deliver(self, records: Sequence[OutputRecord], offset: int) -> AsyncIterator[int]:
        await self._transactions.commit(records, offset)
        yield len(records)
