"""Read-only clients for a test: they see topics and committed offsets without joining a group."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.transactions import fetch_stable_offset
from worker.settings import KafkaSettings

READ_SECONDS = 30.0
"""A read that does not reach the end of its topic by then fails. Long enough for two busy cores."""


class TailingReader:
    """Follows the topics that it was asked for: what it has read it keeps, and does not read again.

    Connects when first needed. `close` ends all connections.
    """

    def __init__(self, servers: str, kafka: KafkaSettings) -> None:
        """Reads records over `servers`, and committed offsets as `kafka` connects."""
        self._servers = servers
        self._kafka = kafka
        self._clients = AsyncExitStack()
        self._connecting = asyncio.Lock()
        self._tails: dict[str, _Tail] = {}
        self._uncommitted: AIOKafkaConsumer | None = None
        self._broker_client: BrokerClient | None = None

    async def records(self, partitions: list[TopicPartition]) -> list[Any]:
        """The committed records of one topic's `partitions`, one partition after the other, up to
        the end at this moment. Waits for the markers of transactions that are about to end.

        Raises `TimeoutError` if a transaction stays open for READ_SECONDS.
        """
        tail = await self._tail(partitions)
        async with asyncio.timeout(READ_SECONDS), tail.reading:
            for partition, end in (await self.ends(partitions)).items():
                while await tail.consumer.position(partition) < end:
                    fetched = await tail.consumer.getmany(partition, timeout_ms=500)
                    tail.seen[partition] += fetched.get(partition, [])
            return [record for partition in partitions for record in tail.seen[partition]]

    async def ends(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the next record of each partition, behind open transactions too."""
        async with self._connecting:
            if self._uncommitted is None:
                self._uncommitted = await self._consumer(isolation_level="read_uncommitted")
        ends: dict[TopicPartition, int] = await self._uncommitted.end_offsets(partitions)
        return ends

    async def committed(self, partition: TopicPartition) -> int | None:
        """The group's offset, once no transaction on it is pending. None if it has none."""
        async with self._connecting:
            if self._broker_client is None:
                client = BrokerClient(client_for_transactions(self._kafka))
                self._clients.push_async_callback(client.stop)
                await client.start()
                self._broker_client = client
        group_id = self._kafka.group_id
        committed = await fetch_stable_offset(self._broker_client, group_id, partition)
        return None if committed is None else int(committed.offset)

    async def close(self) -> None:
        await self._clients.aclose()

    async def _tail(self, partitions: list[TopicPartition]) -> "_Tail":
        topic = partitions[0].topic
        async with self._connecting:
            if topic not in self._tails:
                consumer = await self._consumer(
                    isolation_level="read_committed",
                    auto_offset_reset="earliest",
                    max_partition_fetch_bytes=16 * 2**20,
                )
                consumer.assign(partitions)
                self._tails[topic] = _Tail(consumer, {each: [] for each in partitions})
            return self._tails[topic]

    async def _consumer(self, **options: Any) -> AIOKafkaConsumer:
        return await self._clients.enter_async_context(
            AIOKafkaConsumer(bootstrap_servers=self._servers, **options)
        )


@dataclass
class _Tail:
    """A consumer that stands behind what it has returned, and that."""

    consumer: AIOKafkaConsumer
    seen: dict[TopicPartition, list[Any]]
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
