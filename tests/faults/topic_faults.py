"""Faults of topics, their records and quotas. Each is injected, removed, and returns."""

import asyncio

from aiokafka import TopicPartition

from tests.faults.cluster import until
from tests.faults.evidence import Names, group_offsets, read_questions
from tests.faults.questions import (
    POISONED,
    SMALL_DEAD_LETTER_LIMIT,
    SMALL_LIMIT,
    TEXT,
    question,
)
from tests.faults.schedule import Fault
from tests.faults.traffic import NUMBER
from tests.faults.workers import CLIENT_ID
from tests.faults.world import NOT_REACHED, REACH_SECONDS, World
from tests.kafka.raw_batches import batch, record

_QUOTA_BYTES_PER_SECOND = 8_000
"""Of each broker, for all workers together: less than their answers take."""


async def poison_header(world: World, fault: Fault) -> None:
    number = POISONED + fault.number
    poisoned, names = question(number), world.names
    headers = [(NUMBER.encode(), str(number).encode()), (b"na\xffme", b"")]
    raw = batch([record(0, poisoned.value, key=poisoned.key, headers=headers)])
    topic, partition = _chosen(names, fault)
    await world.cluster.produce(topic, partition, raw)


async def delete_records(world: World, fault: Fault) -> None:
    """Deletes all questions of a partition, those included that no worker has read."""
    names, cluster, deleted = world.names, world.cluster, world.deleted
    partition = _chosen(names, fault)

    async def delete() -> bool:
        offset = (await group_offsets(cluster, names)).get(names.index(*partition)) or 0
        questions = await read_questions(cluster, names, [partition])
        # Noted before the request: it may succeed although its response is lost.
        deleted.questions.update(questions)
        deleted.unread.update(position for position in questions if position[1] >= offset)
        if questions:
            _, last = max(questions)
            await cluster.delete_before(partition, last + 1)
        return True

    await until(delete, f"records of {partition} deleted")


def _chosen(names: Names, fault: Fault) -> TopicPartition:
    partitions = names.question_partitions
    return partitions[int(len(partitions) * fault.chance)]


async def corrupt_batch(world: World, fault: Fault) -> str | None:
    """The worker reads the batch again after `RETRY_SECONDS`."""
    proxies = world.cluster.proxies[fault.slot]
    for proxy in proxies:
        proxy.corrupt(TEXT)
    try:
        async with asyncio.timeout(REACH_SECONDS):
            while not any(proxy.has_corrupted for proxy in proxies):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        return NOT_REACHED
    finally:
        for proxy in proxies:
            await proxy.restore()
    return None


async def small_limit(world: World, fault: Fault) -> None:
    await _limit(world, fault, world.names.answers, SMALL_LIMIT)


async def small_dead_letters(world: World, fault: Fault) -> None:
    await _limit(world, fault, world.names.dead_letters, SMALL_DEAD_LETTER_LIMIT)


async def _limit(world: World, fault: Fault, topic: str, max_bytes: int) -> None:
    await world.cluster.limit_messages(topic, max_bytes)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await world.cluster.limit_messages(topic, None)


async def quota(world: World, fault: Fault) -> None:
    await world.cluster.limit_rate(CLIENT_ID, _QUOTA_BYTES_PER_SECOND)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await world.cluster.limit_rate(CLIENT_ID, None)
