"""Kafka clients for tests: waiting for a condition, reading, joining a group, committed offsets."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

# Timeout for a condition that normally takes milliseconds, or one session timeout.
PATIENCE_SECONDS = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Waits for the condition. Raises `TimeoutError` after `PATIENCE_SECONDS`."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - aiokafka has no event to wait for
            await asyncio.sleep(0.01)


async def read(
    servers: str, *partitions: TopicPartition, count: int, isolation: str = "read_uncommitted"
) -> list[ConsumerRecord[bytes, bytes]]:
    """Returns the first `count` records of the partitions; waits until there are that many.

    Raises `TimeoutError` after `PATIENCE_SECONDS`.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", isolation_level=isolation
    )
    async with asyncio.timeout(PATIENCE_SECONDS), consumer:
        consumer.assign(partitions)
        return [await consumer.getone() for _ in range(count)]


async def committed(servers: str, group: str, partition: TopicPartition) -> int | None:
    """Returns the group's committed offset of the partition, or None if there is none."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
    async with asyncio.timeout(PATIENCE_SECONDS), consumer:
        consumer.assign([partition])
        offset: int | None = await consumer.committed(partition)
        return offset


def member(servers: str, topic: str, group: str, **options: Any) -> AIOKafkaConsumer:
    """Returns a consumer, not started yet, that joins the group. `options` are the consumer's."""
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=100,  # delay until a member learns of a rebalance
        **options,
    )
