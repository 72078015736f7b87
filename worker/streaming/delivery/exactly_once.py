"""Exactly-once delivery."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar

from aiokafka import TopicPartition

from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.consumer import GroupConsumer
from worker.kafka.records import OutputRecord
from worker.kafka.transactions import (
    TransactionalProducer,
    fetch_stable_offset,
    transactional_id,
)
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
        self._client = BrokerClient(client_for_transactions(kafka))

    async def start(self) -> None:
        await self._client.start()

    async def stop(self, *, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._client.stop()

    def way(self, partition: TopicPartition) -> PartitionDelivery:
        self._intake.pause(partition)
        group_id = self._kafka.group_id
        producer = TransactionalProducer(
            self._client, self._kafka, transactional_id(group_id, partition), self._limits
        )
        return ExactlyOncePartition(self._client, group_id, producer, self._intake, partition)


class ExactlyOncePartition:
    def __init__(
        self,
        client: BrokerClient,
        group_id: str,
        producer: TransactionalProducer,
        intake: GroupConsumer,
        partition: TopicPartition,
    ) -> None:
        self._client = client
        self._group_id = group_id
        self._producer = producer
        self._intake = intake
        self._partition = partition

    async def begin(self) -> StartOffsets | None:
        await self._producer.init_transactions()
        offset = await fetch_stable_offset(self._client, self._group_id, self._partition)
        if offset is None:
            # Nothing is read before there is an offset to come back to: the consumer would stand
            # behind what was read in vain, and the reset policy ("latest") might skip it.
            offset = await self._intake.position(self._partition)
            await self._producer.commit([], {self._partition: offset})
        return (
            StartOffsets(offset, offset) if self._intake.resume(self._partition, offset) else None
        )

    async def deliver(self, records: Sequence[OutputRecord], offset: int) -> AsyncIterator[int]:
        await self._producer.commit(records, {self._partition: offset})
        yield len(records)
