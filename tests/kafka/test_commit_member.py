"""Commits carry the generation and the member id of the assignment, on a real broker."""

import asyncio
from collections.abc import Iterable

from aiokafka import TopicPartition

from tests.streaming.topics import Topics, until
from worker.kafka.consumer import GroupConsumer
from worker.kafka.start_offsets import GroupStart
from worker.kafka.topic_ids import TopicIds


class Assigned:
    """Listens to rebalances."""

    def __init__(self) -> None:
        self.partitions: list[TopicPartition] = []

    async def on_revoked(self) -> None:
        self.partitions = []

    def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        self.partitions = list(partitions)


async def test_a_commit_fails_that_was_begun_before_the_member_left(topics: Topics) -> None:
    """A group without members accepts commits of any process that names no member."""
    consumer = GroupConsumer(topics.settings, GroupStart(TopicIds("cluster", {})))
    assigned = Assigned()
    await consumer.start(assigned)
    try:
        await until(lambda: bool(assigned.partitions), "the partitions are assigned")
        coordinator = consumer._consumer._coordinator
        async with coordinator._commit_lock:
            committing = asyncio.create_task(
                consumer.commit({assigned.partitions[0]: 1}, seconds=10)
            )
            await until(lambda: bool(coordinator._commit_lock._waiters), "the commit waits")
            # What aiokafka does after max.poll.interval.ms, or when a heartbeat is refused.
            await coordinator._maybe_leave_group()
        failure = await committing
        assert str(failure) == "the group has removed this member"
        assert set((await topics.committed()).values()) == {None}
    finally:
        await consumer.stop(seconds=10)
