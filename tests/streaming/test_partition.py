"""In-order delivery of one partition, with in-memory delivery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rejection import REPLAY_OF, Reason
from tests.examples import examples
from tests.streaming.fakes import FIRST, MAX_BYTES, NO_JSON, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.kafka.errors import StreamingError
from worker.kafka.refusals import Refusal
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.delivery.base import NotDeliveredError
from worker.streaming.partition import PartitionProcessor
from worker.streaming.partition_context import PartitionContext


@asynccontextmanager
async def running(shared: PartitionContext) -> AsyncIterator[PartitionProcessor]:
    partition = PartitionProcessor(FIRST, shared)
    task = asyncio.create_task(partition.run())
    yield partition
    partition.close()
    task.cancel()
    await asyncio.wait([task])


@given(order=st.permutations(range(6)))
@examples(30)
def test_outcomes_are_delivered_in_offset_order(order: list[int]) -> None:
    async def deliver() -> list[int]:
        engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
        async with running(context(engine, delivery)) as partition:
            for offset in range(6):
                partition.add(record(offset))
            await until(lambda: len(engine.seen) == 6, "the engine has all records")
            for offset in order:
                engine.release(f"0-{offset}")
                await asyncio.sleep(0)
            await partition.drain()
        return delivery.offsets()

    assert asyncio.run(deliver()) == list(range(6))


async def test_failed_delivery_commits_nothing() -> None:
    delivery = FakeDelivery()
    delivery.errors = [TimeoutError()]
    partition = PartitionProcessor(FIRST, context(StubEngine(), delivery))
    partition.add(record(0))
    with pytest.raises(TimeoutError):
        await partition.run()
    assert (partition.tracker.position, partition.tracker.in_flight) == (0, 1)
    assert (partition.made_progress, delivery.published) == (False, [])
    partition.close()


async def test_rejection_counts_once_over_failed_deliveries() -> None:
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


async def test_record_beyond_the_dead_letter_limit_is_not_delivered() -> None:
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


async def test_rejections_count_in_the_order_of_delivery() -> None:
    """All rejections complete before the first answer; still their ratio is one half."""
    limit = DeadLetterLimit(records=10, ratio=0.9)
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    async with running(context(engine, delivery, dead_letter_limit=limit)) as partition:
        for offset in range(80):
            partition.add(record(offset, value=NO_JSON if offset % 2 else None))
        await until(lambda: len(engine.held) == 40, "the engine has all good questions")
        engine.release_all()
        await partition.drain()
    assert delivery.offsets() == list(range(80))


async def test_dead_letter_limit_ignores_replayed_questions() -> None:
    limit = DeadLetterLimit(records=1, ratio=0.5)
    delivery = FakeDelivery()
    async with running(context(StubEngine(), delivery, dead_letter_limit=limit)) as partition:
        for offset in range(5):
            bad = record(offset, value=NO_JSON)
            partition.add(replace(bad, headers=[(REPLAY_OF, b"dead-0-0")]))
        await partition.drain()
    assert delivery.offsets() == [0, 1, 2, 3, 4]


async def test_batch_is_bounded_in_bytes_and_records() -> None:
    delivery = FakeDelivery()
    async with running(context(StubEngine(), delivery, batch_records=3)) as partition:
        for offset in range(4):
            partition.add(record(offset))
        await partition.drain()
        large = b'"' + b"x" * (MAX_BYTES * 2 // 3) + b'"'
        for offset in range(4, 6):
            partition.add(record(offset, value=large))
        await partition.drain()
    assert delivery.batches == [3, 1, 1, 1]


def refusal(*, too_large: bool = False) -> Refusal:
    return Refusal("qa.answers", "INVALID_RECORD", "no key", too_large)


@pytest.mark.parametrize(
    ("too_large", "reason"),
    [(False, Reason.ANSWER_REFUSED), (True, Reason.ANSWER_TOO_LARGE)],
)
async def test_a_refused_answer_becomes_a_dead_letter_in_its_place(
    too_large: bool, reason: Reason
) -> None:
    delivery = FakeDelivery()
    delivery.errors = [
        NotDeliveredError({1: {0: refusal(too_large=too_large)}}),
        NotDeliveredError({}),
    ]
    async with running(context(StubEngine(), delivery)) as partition:
        for offset in range(3):
            partition.add(record(offset))
        await partition.drain()
    assert [(each.offset, each.reason) for _, each in delivery.published] == [
        (0, None),
        (1, reason),
        (2, None),
    ]
    headers = dict(delivery.published[1][1].outputs[0].headers)
    assert headers["__connect.errors.exception.message"] == (
        b"qa.answers refuses the record: INVALID_RECORD: no key"
    )


async def test_a_dead_letter_that_is_refused_in_every_form_names_its_record() -> None:
    delivery = FakeDelivery()
    delivery.errors = [NotDeliveredError({0: {0: refusal()}}) for _ in range(10)]
    partition = PartitionProcessor(FIRST, context(StubEngine(), delivery))
    partition.add(replace(record(0, value=NO_JSON), headers=[("own", b"1")], key=b"k"))
    with pytest.raises(StreamingError, match=r"at qa\.questions partition 0 offset 0 \(not_json"):
        await partition.run()
    assert len(delivery.errors) == 10 - 4  # whole, no value, no headers, the position alone
    assert delivery.published == []
    partition.close()


async def test_refused_answers_count_for_the_dead_letter_limit() -> None:
    """A topic that refuses every answer must not turn all questions into dead letters."""
    limit = DeadLetterLimit(records=4, ratio=0.5)
    delivery = FakeDelivery()
    delivery.errors = [NotDeliveredError({offset: {0: refusal()} for offset in range(8)})]
    partition = PartitionProcessor(FIRST, context(StubEngine(), delivery, dead_letter_limit=limit))
    for offset in range(8):
        partition.add(record(offset))
    with pytest.raises(StreamingError, match="of the last 4 records were rejected"):
        await partition.run()
    assert delivery.offsets() == [0, 1, 2]
    partition.close()


async def test_drain_ignores_the_commit_interval() -> None:
    delivery = FakeDelivery(min_interval=3600)
    async with running(context(StubEngine(), delivery)) as partition:
        partition.add(record(0))
        await until(lambda: delivery.offsets() == [0], "the first delivery starts the interval")
        partition.add(record(1))
        await partition.drain()
    assert delivery.offsets() == [0, 1]


async def test_closed_partition_delivers_nothing_and_frees_capacity() -> None:
    engine, delivery = StubEngine(holds=lambda _: True), FakeDelivery()
    shared = context(engine, delivery)
    async with running(shared) as partition:
        for offset in range(3):
            partition.add(record(offset))
        await until(lambda: len(engine.seen) == 3, "the engine has all records")
        partition.close()
        partition.add(record(3))
        engine.release_all()
        await partition.drain()
        assert (shared.limiter.records, shared.limiter.bytes) == (0, 0)
    assert delivery.published == []


async def test_offset_before_the_committed_one_is_an_error() -> None:
    delivery = FakeDelivery()
    delivery.committed[FIRST] = 500
    async with running(context(StubEngine(), delivery)) as partition:
        await until(lambda: partition.tracker.position == 500, "the start offset is known")
        with pytest.raises(StreamingError, match=r"at offset 0, .* up to 500: .*reset-offsets"):
            partition.add(record(0))


async def test_future_cancelled_by_the_engine_is_an_error() -> None:
    engine = StubEngine(holds=lambda _: True)
    partition = PartitionProcessor(FIRST, context(engine, FakeDelivery()))
    partition.add(record(0))
    task = asyncio.create_task(partition.run())
    await until(lambda: len(engine.held) == 1, "the engine has the record")
    engine.held["0-0"][1].cancel()
    with pytest.raises(RuntimeError, match="engine was closed"):
        await task
    partition.close()
