"""The poll loop and backpressure, with an in-memory consumer and delivery."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from tests.streaming.fakes import FIRST, SECOND, FakeDelivery, assignment, limiter, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.kafka.records import InputRecord
from worker.streaming.assignment import Assignment
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.poller import RecordPoller


class FakeConsumer:
    """Has fetched `records`, and returns them as aiokafka does: a poll drains one partition after
    the other, in the order in which their first records were fetched.
    """

    def __init__(self, *records: InputRecord) -> None:
        self._fetched: dict[TopicPartition, list[InputRecord]] = {}
        self._positions: dict[TopicPartition, int] = {}
        for each in records:
            self.fetch(each)

    def fetch(self, record: InputRecord) -> None:
        partition = TopicPartition(record.topic, record.partition)
        self._fetched.setdefault(partition, []).append(record)

    async def poll(
        self, partitions: Collection[TopicPartition] | None, *, max_records: int, seconds: float
    ) -> list[InputRecord]:
        await asyncio.sleep(0)
        polled: list[InputRecord] = []
        for partition, records in list(self._fetched.items()):
            if partitions is None or partition in partitions:
                count = max_records - len(polled)
                polled += records[:count]
                del records[:count]
                if not records:
                    del self._fetched[partition]
                if polled:
                    self._positions[partition] = polled[-1].offset + 1
        if not polled and seconds:
            await asyncio.sleep(0.001)
        return polled

    @property
    def records_left(self) -> int:
        return sum(map(len, self._fetched.values()))

    def set_position(self, partition: TopicPartition, position: int) -> None:
        self._positions[partition] = position

    async def position(self, partition: TopicPartition) -> int:
        return self._positions.get(partition, 0)


def poller_of(
    consumer: FakeConsumer,
    assigned: Assignment,
    bound: InFlightLimiter | None = None,
    *,
    max_records: int = 100,
) -> RecordPoller:
    shared = bound or limiter(StubEngine())
    return RecordPoller(consumer, shared, assigned, max_records=max_records)


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
    consumer = FakeConsumer(record(0), *(record(offset, SECOND) for offset in range(3)))
    async with polling(poller_of(consumer, assigned, bound), assigned):
        await until(lambda: engine.seen == ["0-0"], "the first record uses all capacity")
        await until(lambda: not consumer.records_left, "the others are polled")
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
    consumer = FakeConsumer(record(0))
    async with polling(poller_of(consumer, assigned), assigned):
        await until(lambda: delivery.committed.get(FIRST) == 1, "the record is committed")
        consumer.set_position(FIRST, 7)
        await until(lambda: delivery.committed.get(FIRST) == 7, "the position is committed")
    assert delivery.offsets() == [0]


async def test_records_of_unassigned_partitions_are_ignored() -> None:
    engine, delivery = StubEngine(), FakeDelivery()
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer(record(0, SECOND), record(0))
    async with polling(poller_of(consumer, assigned), assigned):
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
    consumer = FakeConsumer(*records)
    async with polling(poller_of(consumer, assigned, bound), assigned):
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
    consumer = FakeConsumer(*(record(offset) for offset in range(40)))
    async with polling(poller_of(consumer, assigned, bound, max_records=4), assigned):
        await until(lambda: len(engine.held) == 10, "as many as fit")
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(engine.held) == 10
        assert consumer.records_left == 28  # the third poll has two more
        for offset in range(3):
            engine.release(f"0-{offset}")
        await until(lambda: len(engine.held) == 10, "fewer pending tokens admit others")
        assert consumer.records_left == 24
        engine.release_all()
        await until(lambda: delivery.offsets() == list(range(40)), "all are delivered")


async def test_a_backlog_of_one_partition_does_not_delay_another() -> None:
    engine, delivery = StubEngine(holds=lambda _: True, tokens_each=10), FakeDelivery()
    bound = limiter(engine, max_tokens=100)
    engine.on_progress = bound.engine_progressed
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST, SECOND])
    consumer = FakeConsumer(*(record(offset) for offset in range(1000)))
    async with polling(poller_of(consumer, assigned, bound), assigned):
        await until(lambda: len(engine.held) == 10, "the backlog uses all capacity")
        for offset in range(3):
            consumer.fetch(record(offset, SECOND))
        for done in range(6):
            engine.release(f"0-{done}")
            await until(lambda n=done: len(engine.seen) == 11 + n, "one more is admitted")  # type: ignore[misc]
        assert engine.seen[10] == "1-0"
        assert sorted(engine.seen[10:]) == ["0-10", "0-11", "0-12", "1-0", "1-1", "1-2"]
        engine.release_all()
        await until(lambda: len(delivery.published) == 1003, "all are delivered")
    assert delivery.offsets() == list(range(1000))
    assert delivery.offsets(SECOND) == [0, 1, 2]


async def test_a_partition_that_delivers_nothing_leaves_bytes_to_others() -> None:
    engine, delivery = StubEngine(holds=lambda q: q.question.startswith("0-")), FakeDelivery()
    bound = limiter(engine, max_bytes=10 * record(0).size)
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST, SECOND])
    consumer = FakeConsumer(*(record(offset) for offset in range(100)))
    async with polling(poller_of(consumer, assigned, bound), assigned):
        await until(lambda: len(engine.held) == 5, "it takes what it may")
        for offset in range(20):
            consumer.fetch(record(offset, SECOND))
        await until(lambda: delivery.offsets(SECOND) == list(range(20)), "the other's delivered")
        assert len(engine.held) == 5
        engine.release_all()
        await until(lambda: delivery.offsets() == list(range(100)), "it goes on")


async def test_small_records_do_not_starve_a_large_one() -> None:
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    small = record(0).size
    bound = limiter(engine, max_bytes=10 * small, max_tokens=100)
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST, SECOND])
    consumer = FakeConsumer(*(record(offset) for offset in range(100)))
    large = record(
        0, SECOND, json.dumps({"question": "large", "context": "c" * 6 * small}).encode()
    )
    async with polling(poller_of(consumer, assigned, bound), assigned):
        await until(lambda: len(engine.held) == 5, "half of the bytes are in flight")
        consumer.fetch(large)
        await until(lambda: consumer.records_left < 51, "the large record is polled")
        for offset in range(5):
            engine.release(f"0-{offset}")
        await until(lambda: "large" in engine.seen, "the large record is admitted")
        assert len(engine.seen) <= 9
        engine.release_all()
        await until(lambda: len(delivery.published) == 101, "all are delivered")


async def test_polled_records_of_a_revoked_partition_are_dropped() -> None:
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    bound = limiter(engine, max_bytes=2 * record(0).size)
    assigned = assignment(engine, delivery, bound)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer(*(record(offset) for offset in range(10)))
    async with polling(poller_of(consumer, assigned, bound), assigned):
        await until(lambda: len(engine.seen) == 2, "two are in flight, eight wait")
        revoking = asyncio.create_task(assigned.on_revoked())
        await until(lambda: not assigned.partitions, "the partition is revoked")
        engine.release_all()
        await revoking
        consumer.set_position(FIRST, 2)  # as the client does at an assignment
        consumer.fetch(record(2))
        assigned.on_assigned([FIRST])
        await until(lambda: delivery.offsets() == [0, 1, 2], "the next assignment goes on")
    assert engine.seen == ["0-0", "0-1", "0-2"]
