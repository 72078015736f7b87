"""In-order delivery of one partition, on an in-memory delivery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rejection import REPLAY_OF, Reason
from tests.streaming.fakes import FIRST, NO_JSON, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.kafka.errors import StreamingError
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.partition import MAX_BATCH_BYTES, PartitionContext, PartitionProcessor


@asynccontextmanager
async def running(shared: PartitionContext) -> AsyncIterator[PartitionProcessor]:
    partition = PartitionProcessor(FIRST, shared)
    task = asyncio.create_task(partition.run())
    yield partition
    partition.close()
    task.cancel()
    await asyncio.wait([task])


@given(order=st.permutations(range(6)))
def test_outcomes_are_delivered_in_the_order_of_offsets(order: list[int]) -> None:
    async def deliver() -> list[int]:
        engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
        async with running(context(engine, delivery)) as partition:
            for offset in range(6):
                partition.add(record(offset))
            await until(lambda: len(engine.seen) == 6, "all are in the engine")
            for offset in order:
                engine.release(f"0-{offset}")
                await asyncio.sleep(0)
            await partition.drain()
        return delivery.offsets()

    assert asyncio.run(deliver()) == list(range(6))


async def test_a_failed_delivery_completes_and_commits_nothing() -> None:
    delivery = FakeDelivery()
    delivery.errors = [TimeoutError()]
    partition = PartitionProcessor(FIRST, context(StubEngine(), delivery))
    partition.add(record(0))
    with pytest.raises(TimeoutError):
        await partition.run()
    assert (partition.tracker.position, partition.tracker.in_flight) == (0, 1)
    assert (partition.made_progress, delivery.published) == (False, [])
    partition.close()


async def test_a_rejection_counts_once_however_often_its_delivery_fails() -> None:
    limit = DeadLetterLimit(records=3, ratio=0.5)
    delivery = FakeDelivery()
    shared = context(StubEngine(), delivery, dead_letter_limit=limit)
    for _ in range(5):
        delivery.errors = [TimeoutError()]
        partition = PartitionProcessor(FIRST, shared)
        partition.add(record(0, value=NO_JSON))
        with pytest.raises(TimeoutError):
            await partition.run()
        partition.close()
    async with running(shared) as partition:
        partition.add(record(0, value=NO_JSON))
        await partition.drain()
    assert delivery.offsets() == [0]
    # One of the last three was a rejection: with an answer, a second one would exceed the limit.
    assert limit.check([None, None])[1] is None
    assert limit.check([None, Reason.NOT_JSON])[0] == 1


async def test_the_record_that_exceeds_the_dead_letter_limit_is_not_delivered() -> None:
    limit = DeadLetterLimit(records=4, ratio=0.5)
    delivery = FakeDelivery()
    partition = PartitionProcessor(FIRST, context(StubEngine(), delivery, dead_letter_limit=limit))
    for offset in range(4):
        partition.add(record(offset, value=None if offset == 0 else NO_JSON))
    partition.add(record(4))
    with pytest.raises(StreamingError, match="3 of the last 4 records were rejected"):
        await partition.run()
    assert delivery.offsets() == [0, 1, 2]
    assert partition.tracker.position == 3
    partition.close()


async def test_replayed_questions_do_not_count_for_the_dead_letter_limit() -> None:
    limit = DeadLetterLimit(records=1, ratio=0.5)
    delivery = FakeDelivery()
    async with running(context(StubEngine(), delivery, dead_letter_limit=limit)) as partition:
        for offset in range(5):
            bad = record(offset, value=NO_JSON)
            partition.add(replace(bad, headers=[(REPLAY_OF, b"dead-0-0")]))
        await partition.drain()
    assert delivery.offsets() == [0, 1, 2, 3, 4]


async def test_a_batch_is_bounded_in_bytes_and_in_records() -> None:
    delivery = FakeDelivery()
    batches: list[int] = []
    async with running(context(StubEngine(), delivery, batch_records=3)) as partition:
        deliver = partition._delivery.deliver

        def count(batch):  # type: ignore[no-untyped-def]
            batches.append(len(batch))
            return deliver(batch)

        partition._delivery.deliver = count  # type: ignore[method-assign]
        for offset in range(4):
            partition.add(record(offset))
        await partition.drain()
        large = b'"' + b"x" * (MAX_BATCH_BYTES * 2 // 3) + b'"'
        for offset in range(4, 6):
            partition.add(record(offset, value=large))
        await partition.drain()
    assert batches == [3, 1, 1, 1]


async def test_a_drain_does_not_wait_for_the_interval() -> None:
    delivery = FakeDelivery(min_interval=3600)
    async with running(context(StubEngine(), delivery)) as partition:
        partition.add(record(0))
        await until(lambda: delivery.offsets() == [0], "the first one starts the interval")
        partition.add(record(1))
        await partition.drain()
    assert delivery.offsets() == [0, 1]


async def test_a_closed_partition_adds_and_delivers_nothing_and_frees_its_capacity() -> None:
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    shared = context(engine, delivery)
    async with running(shared) as partition:
        for offset in range(3):
            partition.add(record(offset))
        await until(lambda: len(engine.seen) == 3, "all are in the engine")
        partition.close()
        partition.add(record(3))
        engine.release_all()
        await partition.drain()
        assert (shared.limiter.records, shared.limiter.bytes) == (0, 0)
    assert delivery.published == []


async def test_an_offset_before_the_groups_names_the_truncated_topic() -> None:
    delivery = FakeDelivery()
    delivery.committed[FIRST] = 500
    async with running(context(StubEngine(), delivery)) as partition:
        await until(lambda: partition.tracker.position == 500, "the start offset is known")
        with pytest.raises(StreamingError, match=r"at offset 0, .* up to 500: .*reset-offsets"):
            partition.add(record(0))


async def test_an_engine_that_cancels_a_record_is_an_error_not_a_cancellation() -> None:
    engine = StubEngine(holds=lambda _: True)
    partition = PartitionProcessor(FIRST, context(engine, FakeDelivery()))
    partition.add(record(0))
    task = asyncio.create_task(partition.run())
    await until(lambda: len(engine.held) == 1, "it is in the engine")
    engine.held["0-0"][1].cancel()
    with pytest.raises(RuntimeError, match="engine was closed"):
        await task
    partition.close()
