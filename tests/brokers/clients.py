"""What tests do with a broker: wait for something, read, join a group, ask what it committed."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

# Longest wait for a condition that normally takes milliseconds, or one session timeout.
PATIENCE_SECONDS = 20.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - aiokafka has no event to wait for
            await asyncio.sleep(0.01)


async def read(
    servers: str, *partitions: TopicPartition, count: int, isolation: str = "read_uncommitted"
) -> list[ConsumerRecord[bytes, bytes]]:
    """The first `count` records of these partitions; it waits for them, and for no more."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", isolation_level=isolation
    )
    async with asyncio.timeout(PATIENCE_SECONDS), consumer:
        consumer.assign(partitions)
        return [await consumer.getone() for _ in range(count)]


async def committed(servers: str, group: str, partition: TopicPartition) -> int | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
    async with asyncio.timeout(PATIENCE_SECONDS), consumer:
        consumer.assign([partition])
        offset: int | None = await consumer.committed(partition)
        return offset


def member(servers: str, topic: str, group: str, **options: Any) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=100,  # how soon a member hears that another has come
        **options,
    )
