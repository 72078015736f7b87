"""Topics of one test's own on a shared broker, and what a producer and a consumer see of them."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.rejection import Header
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.topics import create_topics
from worker.kafka.transactions import fetch_stable_offset
from worker.settings import Settings
from worker.settings.environment import load

PATIENCE = 30.0
"""Seconds until a condition that does not come true is a failure; on two busy cores."""


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait for a condition, never for time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE:g} s: {what}")


def event(number: int, **more: Any) -> bytes:
    """A question event whose text names it."""
    return json.dumps(
        {
            "id": f"q-{number}",
            "question": f"Who is number {number}?",
            "context": f"Person{number} lives here.",
            **more,
        }
    ).encode()


@dataclass
class Topics:
    """Three fresh topics, a group, and clients to look at them."""

    servers: str
    environment: dict[str, str] = field(default_factory=dict)
    partitions: int = 2

    def __post_init__(self) -> None:
        mark = uuid.uuid4().hex[:8]
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "KAFKA_GROUP_ID": f"group-{mark}",
            "QA_QUESTIONS_TOPIC": f"questions-{mark}",
            "QA_ANSWERS_TOPIC": f"answers-{mark}",
            "QA_DEAD_LETTERS_TOPIC": f"dead-{mark}",
            "QA_COMMIT_INTERVAL_MS": "50",
            # A member hears of a rebalance with its next heartbeat.
            "KAFKA_HEARTBEAT_INTERVAL_MS": "200",
            "QA_HTTP_HOST": "127.0.0.1",
            "QA_HTTP_PORT": "0",
            **self.environment,
        }

    @property
    def settings(self) -> Settings:
        return load(self.environment)

    def with_(self, **environment: str) -> Settings:
        return load({**self.environment, **environment})

    async def create(self) -> None:
        await create_topics(self.settings, partitions=self.partitions, replication=1)

    def all_partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions)]

    async def send(
        self,
        values: Sequence[bytes | None],
        *,
        partition: int | None = None,
        key: bytes | None = b"k",
        headers: Sequence[Header] = (),
    ) -> list[Any]:
        """Publish to the questions topic; round robin over partitions, or all to one."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.servers, max_request_size=16 * 2**20
        ) as producer:
            sent = [
                await producer.send(
                    self.settings.qa.questions_topic,
                    value,
                    key=key,
                    partition=number % self.partitions if partition is None else partition,
                    headers=list(headers),
                )
                for number, value in enumerate(values)
            ]
            return [await future for future in sent]

    async def records(self, topic: str) -> list[Any]:
        """All records of a topic, in order within a partition, up to its end at this moment; waits
        for the markers of transactions that are about to end.
        """
        async with (
            asyncio.timeout(PATIENCE),
            AIOKafkaConsumer(bootstrap_servers=self.servers) as everything,
            AIOKafkaConsumer(
                bootstrap_servers=self.servers,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=16 * 2**20,
            ) as consumer,
        ):
            partitions = self.all_partitions(topic)
            consumer.assign(partitions)
            ends = await everything.end_offsets(partitions)
            found: list[Any] = []
            for partition, end in ends.items():
                while await consumer.position(partition) < end:
                    fetched = await consumer.getmany(partition, timeout_ms=500)
                    found += fetched.get(partition, [])
            return found

    async def ends(self) -> dict[int, int]:
        """Partition of the questions topic to the offset that its next record will have."""
        async with AIOKafkaConsumer(bootstrap_servers=self.servers) as consumer:
            partitions = self.all_partitions(self.settings.qa.questions_topic)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            return {partition.partition: end for partition, end in ends.items()}

    async def answers(self) -> list[Any]:
        return await self.records(self.settings.qa.answers_topic)

    async def dead_letters(self) -> list[Any]:
        return await self.records(self.settings.qa.dead_letters_topic)

    async def has(self, count: int) -> bool:
        """Whether so many answers are there."""
        return len(await self.answers()) >= count

    async def ids(self) -> list[str]:
        return [json.loads(record.value)["id"] for record in await self.answers()]

    async def committed(self) -> dict[int, int | None]:
        """Partition of the questions topic to the group's committed offset."""
        settings = self.settings
        link = BrokerClient(client_for_transactions(settings.kafka))
        await link.start()
        try:
            return {
                partition.partition: await fetch_stable_offset(
                    link, settings.kafka.group_id, partition
                )
                for partition in self.all_partitions(settings.qa.questions_topic)
            }
        finally:
            await link.stop()

    async def committed_are(self, expected: dict[int, int]) -> None:
        """Wait until the group's committed offsets are these."""

        async def equal() -> bool:
            return await self.committed() == expected

        await until(equal, f"offsets {expected} committed")
