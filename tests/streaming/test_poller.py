"""The poll loop and backpressure, with an in-memory consumer and delivery."""

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

    @property
    def polls_left(self) -> int:
        return len(self._polls)

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
    # The first record uses all capacity. While the records of the second partition wait, its
    # tracker learns the consumer's position, which lies behind them.
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    bound = limiter(engine, max_bytes=50)
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST, SECOND])
    records = [record(0), *(record(offset, SECOND) for offset in range(3))]
    consumer = FakeConsumer(records, positions={FIRST: 1, SECOND: 3})
    async with polling(RecordPoller(consumer, bound, assigned), assigned):
        await until(lambda: engine.seen == ["0-0"], "the first record uses all capacity")
        tracker = assigned.trackers[SECOND]
        tracker.begin(3)
        assert tracker.position == 0
        engine.release_all()
        await until(
            lambda: delivery.offsets(SECOND) == [0, 1, 2], "the waiting records are delivered"
        )


async def test_empty_poll_commits_the_consumer_position() -> None:
    delivery = FakeDelivery()
    assigned = assignment(StubEngine(), delivery)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer([record(0)], positions={FIRST: 7})
    poller = RecordPoller(consumer, limiter(StubEngine()), assigned)
    async with polling(poller, assigned):
        await until(lambda: delivery.committed.get(FIRST) == 7, "the position is committed")
    assert delivery.offsets() == [0]


async def test_records_of_unassigned_partitions_are_ignored() -> None:
    engine, delivery = StubEngine(), FakeDelivery()
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer([record(0, SECOND), record(0)], positions={FIRST: 1})
    async with polling(RecordPoller(consumer, limiter(engine), assigned), assigned):
        await until(
            lambda: delivery.offsets() == [0], "the assigned partition's record is delivered"
        )
    assert engine.seen == ["0-0"]


async def test_backpressure_bounds_the_bytes_in_flight() -> None:
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    records = [record(offset) for offset in range(8)]
    bound = limiter(engine, max_bytes=5 * records[0].size)
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer(records, positions={FIRST: 8})
    async with polling(RecordPoller(consumer, bound, assigned), assigned):
        for done in range(3):
            await until(lambda n=done: len(engine.seen) == 5 + n, "as many as fit")  # type: ignore[misc]
            assert bound.bytes == 5 * records[0].size
            engine.release(f"0-{done}")
        await until(lambda: len(engine.seen) == 8, "each completed record admits one")
        engine.release_all()
        await until(lambda: delivery.offsets() == list(range(8)), "all are delivered")


async def test_backpressure_stops_polling_at_the_token_bound() -> None:
    engine, delivery = StubEngine(holds=lambda _: True, tokens_each=10), FakeDelivery()
    bound = limiter(engine, max_tokens=100)
    engine.on_progress = bound.engine_progressed
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST])
    polls = [[record(offset) for offset in range(start, start + 4)] for start in range(0, 40, 4)]
    consumer = FakeConsumer(*polls, positions={FIRST: 40})
    async with polling(RecordPoller(consumer, bound, assigned), assigned):
        # The limiter checks tokens between polls, so the last poll may exceed the bound.
        await until(lambda: len(engine.held) == 12, "the third poll reaches the bound")
        for _ in range(10):
            await asyncio.sleep(0)
        assert consumer.polls_left == 7
        for offset in range(3):
            engine.release(f"0-{offset}")
        await until(lambda: len(engine.held) == 13, "fewer pending tokens admit one more poll")
        engine.release_all()
        await until(lambda: delivery.offsets() == list(range(40)), "all are delivered")
