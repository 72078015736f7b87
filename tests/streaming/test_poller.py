"""The poll loop, on an in-memory consumer and delivery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from tests.streaming.fakes import FIRST, SECOND, FakeDelivery, assignment, limiter, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.kafka.records import InputRecord
from worker.streaming.assignment import Assignment
from worker.streaming.poller import RecordPoller


class FakeConsumer:
    """Returns each of `polls` once, then nothing."""

    def __init__(self, *polls: list[InputRecord], positions: dict[TopicPartition, int]) -> None:
        self._polls = list(polls)
        self._positions = positions

    async def poll(self) -> list[InputRecord]:
        await asyncio.sleep(0)
        return self._polls.pop(0) if self._polls else []

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]


@asynccontextmanager
async def polling(poller: RecordPoller, assigned: Assignment) -> AsyncIterator[None]:
    task = asyncio.create_task(poller.run())
    yield
    poller.stop()
    await task
    assigned.close()
    await assigned.wait_closed()


async def test_a_late_start_position_does_not_skip_waiting_records() -> None:
    # The first record fills the worker. While those of the second partition wait for capacity, its
    # tracker hears the consumer's position, which lies behind them.
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST, SECOND])
    bound = assigned._context.limiter
    bound._max_bytes = 50
    records = [record(0), *(record(offset, SECOND) for offset in range(3))]
    consumer = FakeConsumer(records, positions={FIRST: 1, SECOND: 3})
    async with polling(RecordPoller(consumer, bound, assigned), assigned):
        await until(lambda: engine.seen == ["0-0"], "the first record fills the worker")
        tracker = assigned.trackers[SECOND]
        tracker.begin(3)
        assert tracker.position == 0
        engine.release_all()
        await until(lambda: delivery.offsets(SECOND) == [0, 1, 2], "all are delivered")


async def test_offsets_without_records_are_committed_after_an_empty_poll() -> None:
    delivery = FakeDelivery()
    assigned = assignment(StubEngine(), delivery)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer([record(0)], positions={FIRST: 7})
    poller = RecordPoller(consumer, limiter(StubEngine()), assigned)
    async with polling(poller, assigned):
        await until(lambda: delivery.committed.get(FIRST) == 7, "the position is committed")
    assert delivery.offsets() == [0]


async def test_records_of_partitions_that_are_not_assigned_are_ignored() -> None:
    engine, delivery = StubEngine(), FakeDelivery()
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer([record(0, SECOND), record(0)], positions={FIRST: 1})
    async with polling(RecordPoller(consumer, limiter(engine), assigned), assigned):
        await until(lambda: delivery.offsets() == [0], "the assigned partition is served")
    assert engine.seen == ["0-0"]
