"""Restarts and drains of assigned partitions, with in-memory delivery."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    OutOfOrderSequenceNumber,
    TransactionalIdAuthorizationFailed,
)

from tests.streaming.fakes import (
    FIRST,
    HEARTBEAT_SECONDS,
    SECOND,
    FakeDelivery,
    assignment,
    record,
)
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.streaming.assignment import MAX_RESTARTS, Assignment


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def delivery() -> FakeDelivery:
    return FakeDelivery()


@pytest.fixture
async def assigned(engine: StubEngine, delivery: FakeDelivery) -> AsyncIterator[Assignment]:
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST, SECOND])
    await until(lambda: len(delivery.committed) == 2, "both partitions start")
    yield assigned
    assigned.close()
    await assigned.wait_closed()


@pytest.mark.parametrize(
    "error", [OutOfOrderSequenceNumber(), TimeoutError(), KafkaConnectionError("gone"), OSError()]
)
async def test_failed_delivery_restarts_only_its_partition(
    assigned: Assignment, delivery: FakeDelivery, error: Exception
) -> None:
    before = dict(assigned.partitions)
    delivery.errors = [error]
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: assigned.partitions[FIRST] is not before[FIRST], "the partition restarts")
    assert assigned.partitions[SECOND] is before[SECOND]
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: delivery.offsets() == [0], "the record is delivered")


async def test_session_ends_after_too_many_restarts_in_a_row(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    for _ in range(MAX_RESTARTS):
        await fail_once(assigned, delivery, offset=0)
    delivery.errors = [OutOfOrderSequenceNumber()]
    assigned.partitions[FIRST].add(record(0))
    with pytest.raises(OutOfOrderSequenceNumber):
        await asyncio.wait_for(assigned.run(), 20)
    assert delivery.opened.count(FIRST) == 1 + MAX_RESTARTS


async def test_successful_delivery_resets_the_restart_count(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    session = asyncio.create_task(assigned.run())
    for offset in range(MAX_RESTARTS + 2):
        await fail_once(assigned, delivery, offset)
        assigned.partitions[FIRST].add(record(offset))
        delivered = offset + 1
        await until(lambda n=delivered: len(delivery.published) == n, "delivered")  # type: ignore[misc]
    assert not session.done()
    session.cancel()


async def fail_once(assigned: Assignment, delivery: FakeDelivery, offset: int) -> None:
    """Let the delivery of this record fail, and wait for the restart of its partition."""
    delivery.errors = [OutOfOrderSequenceNumber()]
    before = assigned.partitions[FIRST]
    before.add(record(offset))
    await until(lambda: assigned.partitions[FIRST] is not before, "the partition restarts")


@pytest.mark.parametrize(
    "error", [TransactionalIdAuthorizationFailed("id"), ZeroDivisionError("a bug")]
)
async def test_fatal_error_or_bug_ends_the_session(
    assigned: Assignment, delivery: FakeDelivery, error: Exception
) -> None:
    delivery.errors = [error]
    assigned.partitions[FIRST].add(record(0))
    with pytest.raises(type(error)):
        await asyncio.wait_for(assigned.run(), 20)


async def test_at_least_once_session_ends_instead_of_restarting(engine: StubEngine) -> None:
    delivery = FakeDelivery(restarts_partition=False)
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST])
    delivery.errors = [OutOfOrderSequenceNumber()]
    assigned.partitions[FIRST].add(record(0))
    with pytest.raises(OutOfOrderSequenceNumber):
        await asyncio.wait_for(assigned.run(), 20)
    assigned.close()
    await assigned.wait_closed()


async def test_fenced_partition_restarts_after_a_heartbeat(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    delivery.errors = [InvalidProducerEpoch()]
    loop = asyncio.get_running_loop()
    started = loop.time()
    before = assigned.partitions[FIRST]
    before.add(record(0))
    await until(lambda: assigned.partitions[FIRST] is not before, "the partition restarts")
    await until(
        lambda: assigned.trackers[FIRST].position is not None, "the restarted partition starts"
    )
    assert loop.time() - started > HEARTBEAT_SECONDS


async def test_revocation_waits_for_records_in_flight(
    assigned: Assignment, engine: StubEngine, delivery: FakeDelivery
) -> None:
    engine.holds = lambda _: True
    partition = assigned.partitions[FIRST]
    for offset in range(3):
        partition.add(record(offset))
    await until(lambda: len(engine.held) == 3, "the engine has all records")
    revoking = asyncio.create_task(assigned.on_revoked())
    await until(lambda: not assigned.partitions, "the partitions are revoked")
    assert not revoking.done()
    engine.release_all()
    await revoking
    assert delivery.offsets() == [0, 1, 2]


async def test_failed_delivery_during_drain_ends_only_the_drain(
    assigned: Assignment, engine: StubEngine, delivery: FakeDelivery
) -> None:
    session = asyncio.create_task(assigned.run())
    engine.holds = lambda _: True
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: len(engine.held) == 1, "the engine has the record")
    revoking = asyncio.create_task(assigned.on_revoked())
    await until(lambda: not assigned.partitions, "the partitions are revoked")
    delivery.errors = [InvalidProducerEpoch()]
    engine.release_all()
    await revoking
    assert not session.done()
    session.cancel()
    assert delivery.opened == [FIRST, SECOND]


async def test_ending_session_accepts_no_assignment(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    assigned.end()
    await assigned.on_revoked()
    assigned.on_assigned([FIRST])
    assert dict(assigned.partitions) == {}
    assert delivery.opened == [FIRST, SECOND]


async def test_drain_that_times_out_leaves_no_unretrieved_error(delivery: FakeDelivery) -> None:
    engine = StubEngine(holds=lambda _: True)
    assigned = assignment(engine, delivery, drain_seconds=0.01)
    logged: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    assigned.on_assigned([FIRST])
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: len(engine.seen) == 1, "the record is in the engine")
    await assigned.on_revoked()
    await assigned.wait_closed()
    gc.collect()
    assert logged == []
