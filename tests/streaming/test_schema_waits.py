"""Records that wait for the schema registry hold up their partition, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka import TopicPartition

from schemas.rejection import Reason, Rejected
from tests.streaming.fakes import FIRST, SECOND, FakeDelivery, assignment, context, limiter, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.test_poller import FakeConsumer, poller_of, polling
from tests.streaming.topics import until
from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.observability.record_trace import RecordTrace
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.partition import PartitionProcessor
from worker.streaming.partition_context import PartitionContext
from worker.streaming.schema_waits import MAX_BYTES, MAX_RECORDS

NEEDS = b"needs a schema"


class FakeValues:
    """Values with this header wait until the registry is back."""

    def __init__(self) -> None:
        self.back = asyncio.Event()
        self.unavailable: str | None = None

    async def read(self, record: InputRecord, wait: AbstractContextManager[None]) -> InputRecord:
        if (NEEDS.decode(), None) not in record.headers or self.back.is_set():
            return record
        with wait:
            await self.back.wait()
        return replace(record, value=bytes(record.value or b""))


def framed(offset: int, partition: TopicPartition = FIRST, padding: int = 0) -> InputRecord:
    asked = record(offset, partition)
    value = (asked.value or b"") + b" " * padding
    return replace(asked, value=value, headers=[(NEEDS.decode(), None)])


def waiting(partition: TopicPartition = FIRST) -> float:
    gauge = metrics.SCHEMA_WAITING_RECORDS.labels(partition.topic, str(partition.partition))
    return float(gauge._value.get())


@asynccontextmanager
async def running(shared: PartitionContext) -> AsyncIterator[PartitionProcessor]:
    partition = PartitionProcessor(FIRST, shared)
    task = asyncio.create_task(partition.run())
    yield partition
    partition.close()
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("padding", [0, 10_000])
async def test_a_waiting_partition_adds_few_records_and_others_all(padding: int) -> None:
    values, delivery = FakeValues(), FakeDelivery()
    bound = limiter(StubEngine(), max_bytes=25_000)
    assigned = assignment(StubEngine(), delivery, bound, values=values)
    assigned.on_assigned([FIRST, SECOND])
    firsts = [record(0), *(framed(n, padding=padding) for n in range(1, 500))]
    consumer = FakeConsumer(*firsts, *(record(n, SECOND) for n in range(500)))
    async with polling(poller_of(consumer, assigned, bound), assigned):
        await until(lambda: delivery.offsets(SECOND) == list(range(500)), "the other is done")
        assert delivery.offsets(FIRST) == [0]
        partition = assigned.partitions[FIRST]
        full = MAX_BYTES // padding + 1 if padding else MAX_RECORDS
        await until(lambda: partition.in_flight_records == full, "as many as may wait")
        assert waiting() == full
        assert assigned.waiting == [FIRST]
        assert (bound.records, bound.bytes) == (0, 0)
        consumer.fetch(record(500, SECOND))
        await until(lambda: delivery.offsets(SECOND)[-1] == 500, "the other goes on")
        assert partition.in_flight_records == full
        values.back.set()
        await until(lambda: delivery.offsets(FIRST) == list(range(500)), "it goes on")
        assert (bound.records, bound.bytes, waiting()) == (0, 0, 0)
        assert assigned.waiting == []


async def test_the_poller_goes_on_after_waits_that_filled_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that waited goes to the engine at once, and is delivered at once."""
    engine = StubEngine(holds=lambda _: True, tokens_each=10)
    values, delivery = FakeValues(), FakeDelivery()
    bound = limiter(engine, max_tokens=100)
    wait_for_change, pending = bound.wait_for_change, [0]

    async def counted() -> None:
        pending[0] += 1
        await wait_for_change()
        pending[0] -= 1

    monkeypatch.setattr(bound, "wait_for_change", counted)
    assigned = assignment(engine, delivery, bound, values=values)
    assigned.on_assigned([FIRST])
    consumer = FakeConsumer(*(framed(n) for n in range(300)))
    async with polling(poller_of(consumer, assigned, bound, max_records=300), assigned):
        await until(lambda: waiting() == MAX_RECORDS, "as many as may wait")
        values.back.set()
        await until(lambda: len(engine.held) >= MAX_RECORDS, "the engine has more than its limit")
        await until(lambda: not bound.has_capacity() and bool(pending[0]), "the poller waits")
        engine.release_all()
        await until(lambda: delivery.offsets() == list(range(300)), "all are delivered")


async def test_polling_goes_on_while_all_partitions_wait() -> None:
    """A member that does not poll for max.poll.interval.ms is dropped from the group."""
    values = FakeValues()
    assigned = assignment(StubEngine(), FakeDelivery(), values=values)
    assigned.on_assigned([FIRST])
    polled: list[list[TopicPartition] | None] = []

    class Consumer(FakeConsumer):
        async def poll(self, partitions, *, max_records, seconds):  # type: ignore[no-untyped-def]
            polled.append(partitions)
            return await super().poll(partitions, max_records=max_records, seconds=seconds)

    consumer = Consumer(*(framed(n) for n in range(300)))
    async with polling(poller_of(consumer, assigned, max_records=MAX_RECORDS), assigned):
        await until(lambda: polled[-5:] == [[]] * 5, "polls of no partition")
        assert consumer.records_left == 300 - MAX_RECORDS
        values.back.set()


async def test_a_drain_discards_from_the_first_waiting_record_on() -> None:
    engine, delivery, values = StubEngine(holds=lambda _: True), FakeDelivery(), FakeValues()
    shared = context(engine, delivery, values=values)
    async with running(shared) as partition:
        for each in (record(0), record(1), framed(2), record(3), framed(4)):
            partition.add(each)
        await until(lambda: len(engine.seen) == 3 and waiting() == 2, "all are processed or wait")
        draining = asyncio.create_task(partition.drain())
        await until(lambda: partition.in_flight_records == 2, "the waiting ones are discarded")
        assert not draining.done()
        engine.release_all()
        await draining
        assert delivery.offsets() == [0, 1]
        assert delivery.committed[FIRST] == partition.tracker.position == 2
        assert partition.close() == 3
        assert (shared.limiter.records, shared.limiter.bytes, waiting()) == (0, 0, 0)
        values.back.set()


async def test_a_record_that_begins_to_wait_in_a_drain_is_discarded() -> None:
    values = FakeValues()
    shared = context(StubEngine(), FakeDelivery(), values=values)
    async with running(shared) as partition:
        partition.add(framed(0))
        async with asyncio.timeout(10):
            await partition.drain()
        assert partition.close() == 1
        assert (shared.limiter.records, shared.limiter.bytes, waiting()) == (0, 0, 0)


async def test_a_closed_partition_does_not_wait() -> None:
    values = FakeValues()
    shared = context(StubEngine(), FakeDelivery(), values=values)
    async with running(shared) as partition:
        partition.add(framed(0))
        await until(lambda: waiting() == 1, "it waits")
        assert partition.close() == 1
        values.back.set()
        await asyncio.sleep(0)
        assert (shared.limiter.records, shared.limiter.bytes, waiting()) == (0, 0, 0)


async def test_a_record_that_waited_too_long_is_expired() -> None:
    values, delivery, now = FakeValues(), FakeDelivery(), 1_000.0
    policy = DeadlinePolicy("dead_letter", 5.0, lambda: now)
    engine = StubEngine()
    async with running(context(engine, delivery, values=values, deadlines=policy)) as partition:
        partition.add(replace(framed(0), produced_ms=1_000_000))
        await until(lambda: waiting() == 1, "it waits")
        now = 1_006.0
        values.back.set()
        await until(lambda: waiting() == 0, "it goes on")
        await partition.drain()
    assert [each.reason for _, each in delivery.published] == [Reason.EXPIRED]
    assert engine.seen == []


async def test_the_wait_is_a_stage_of_the_trace_before_decoding() -> None:
    values = FakeValues()
    processor = context(StubEngine(), FakeDelivery(), values=values).processor
    trace = RecordTrace("qa.questions", 0, 0, ())
    task = asyncio.create_task(processor.process(framed(0), trace))
    await asyncio.sleep(0)
    values.back.set()
    await task
    schema, decode = trace.stages[:2]
    assert (schema.name, decode.name) == ("schema", "decode")
    assert trace.received <= schema.began <= schema.ended == decode.began


async def test_a_value_within_the_limit_may_be_larger_as_json() -> None:
    """Quotes in a text are escaped in JSON, not in Avro."""

    class Larger(FakeValues):
        async def read(
            self, record: InputRecord, wait: AbstractContextManager[None]
        ) -> InputRecord:
            record = await super().read(record, wait)
            return replace(record, value=(record.value or b"") + b" " * 100)

    asked = record(0)
    processor = replace(
        context(StubEngine(), FakeDelivery(), values=Larger()).processor,
        max_record_bytes=len(asked.value or b""),
    )
    assert (await processor.process(asked, None)).reason is None


async def test_the_wait_is_no_part_of_the_decoding_of_a_record_that_is_rejected_after_it() -> None:
    class Unknown(FakeValues):
        async def read(
            self, record: InputRecord, wait: AbstractContextManager[None]
        ) -> InputRecord:
            with wait:
                await self.back.wait()
                raise Rejected(Reason.SCHEMA_UNKNOWN, f"for {record.default_id}")

    values = Unknown()
    processor = context(StubEngine(), FakeDelivery(), values=values).processor
    trace = RecordTrace("qa.questions", 0, 0, ())
    task = asyncio.create_task(processor.process(framed(0), trace))
    await asyncio.sleep(0)
    values.back.set()
    await task
    schema, decode = trace.stages[:2]
    assert (schema.name, decode.name) == ("schema", "decode")
    assert schema.ended == decode.began
