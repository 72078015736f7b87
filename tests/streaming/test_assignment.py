"""Supervision of the assigned partitions, on an in-memory delivery."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import (
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
    TransactionalIdAuthorizationFailed,
)

from tests.streaming.fakes import FIRST, SECOND, FakeDelivery, assignment, record
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
    await until(lambda: len(delivery.committed) == 2, "both have started")
    yield assigned
    assigned.close()
    await assigned.wait_closed()


async def test_an_error_that_a_fence_cures_restarts_that_partition_alone(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    before = dict(assigned.partitions)
    delivery.errors = [OutOfOrderSequenceNumber()]
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: assigned.partitions[FIRST] is not before[FIRST], "it is restarted")
    assert assigned.partitions[SECOND] is before[SECOND]
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: delivery.offsets() == [0], "the record is read and delivered again")


async def test_consecutive_restarts_are_limited(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    for _ in range(MAX_RESTARTS):
        await fail_once(assigned, delivery, offset=0)
    delivery.errors = [OutOfOrderSequenceNumber()]
    assigned.partitions[FIRST].add(record(0))
    with pytest.raises(OutOfOrderSequenceNumber):
        await asyncio.wait_for(assigned.run(), 20)
    assert delivery.opened.count(FIRST) == 1 + MAX_RESTARTS


async def test_a_successful_delivery_resets_the_count_of_restarts(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    for offset in range(MAX_RESTARTS + 2):
        await fail_once(assigned, delivery, offset)
        assigned.partitions[FIRST].add(record(offset))
        delivered = offset + 1
        await until(lambda n=delivered: len(delivery.published) == n, "delivered")  # type: ignore[misc]
    assert not assigned._failure.done()


async def fail_once(assigned: Assignment, delivery: FakeDelivery, offset: int) -> None:
    """Let the delivery of this record fail, and wait for the restart of its partition."""
    delivery.errors = [OutOfOrderSequenceNumber()]
    before = assigned.partitions[FIRST]
    before.add(record(offset))
    await until(lambda: assigned.partitions[FIRST] is not before, "it is restarted")


@pytest.mark.parametrize(
    "error", [TransactionalIdAuthorizationFailed("id"), ZeroDivisionError("a bug")]
)
async def test_an_error_that_no_fence_cures_ends_the_session(
    assigned: Assignment, delivery: FakeDelivery, error: Exception
) -> None:
    delivery.errors = [error]
    assigned.partitions[FIRST].add(record(0))
    with pytest.raises(type(error)):
        await asyncio.wait_for(assigned.run(), 20)


async def test_at_least_once_delivery_restarts_no_partition(engine: StubEngine) -> None:
    delivery = FakeDelivery(restarts_partition=False)
    assigned = assignment(engine, delivery)
    assigned.on_assigned([FIRST])
    delivery.errors = [OutOfOrderSequenceNumber()]
    assigned.partitions[FIRST].add(record(0))
    with pytest.raises(OutOfOrderSequenceNumber):
        await asyncio.wait_for(assigned.run(), 20)
    assigned.close()
    await assigned.wait_closed()


async def test_a_fenced_partition_waits_longer_than_a_heartbeat(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    delivery.errors = [InvalidProducerEpoch()]
    loop = asyncio.get_running_loop()
    started = loop.time()
    before = assigned.partitions[FIRST]
    before.add(record(0))
    await until(lambda: assigned.partitions[FIRST] is not before, "it is restarted")
    await until(lambda: assigned.trackers[FIRST].position is not None, "it has started again")
    assert loop.time() - started > assigned._fenced_delay


async def test_revoked_partitions_finish_what_is_in_flight(
    assigned: Assignment, engine: StubEngine, delivery: FakeDelivery
) -> None:
    engine._holds = lambda _: True
    partition = assigned.partitions[FIRST]
    for offset in range(3):
        partition.add(record(offset))
    await until(lambda: len(engine.held) == 3, "all are in the engine")
    revoking = asyncio.create_task(assigned.on_revoked())
    await until(lambda: not assigned.partitions, "the partitions are revoked")
    assert not revoking.done()
    engine.release_all()
    await revoking
    assert delivery.offsets() == [0, 1, 2]


async def test_an_error_of_a_revoked_partition_ends_its_drain_and_not_the_session(
    assigned: Assignment, engine: StubEngine, delivery: FakeDelivery
) -> None:
    engine._holds = lambda _: True
    assigned.partitions[FIRST].add(record(0))
    await until(lambda: len(engine.held) == 1, "it is in the engine")
    revoking = asyncio.create_task(assigned.on_revoked())
    await until(lambda: not assigned.partitions, "the partitions are revoked")
    delivery.errors = [InvalidProducerEpoch()]
    engine.release_all()
    await revoking
    assert not assigned._failure.done()
    assert delivery.opened == [FIRST, SECOND]


async def test_nothing_is_assigned_once_the_session_ends(
    assigned: Assignment, delivery: FakeDelivery
) -> None:
    assigned.end()
    await assigned.on_revoked()
    assigned.on_assigned([FIRST])
    assert dict(assigned.partitions) == {}
    assert delivery.opened == [FIRST, SECOND]
