"""Exactly-once delivery after a failed transaction or a lost fence: the partition restarts at its
committed offset, and every answer is committed once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber
from prometheus_client import REGISTRY

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.errors import StreamingError
from worker.kafka.records import OutputRecord
from worker.kafka.topic_requirements import check_topics
from worker.kafka.transactions import (
    TransactionalProducer,
    TransactionTime,
    fetch_stable_offset,
    transactional_id,
)
from worker.observability.health import Health
from worker.streaming.assignment import MAX_RESTARTS
from worker.streaming.supervisor import WorkerSupervisor

Offsets = Mapping[TopicPartition, int]
Commit = Callable[[TransactionalProducer, Sequence[OutputRecord], Offsets], Any]
COMMIT: Commit = TransactionalProducer.commit


@pytest.fixture
async def client(topics: Topics) -> AsyncIterator[BrokerClient]:
    client = BrokerClient(client_for_transactions(topics.settings.kafka))
    await client.start()
    yield client
    await client.stop()


async def other_owner(topics: Topics, client: BrokerClient) -> TransactionalProducer:
    """A producer that has taken the fence of partition 0."""
    settings = topics.settings
    name = transactional_id(settings.kafka.group_id, partition_0(topics))
    producer = TransactionalProducer(
        client, settings.kafka, name, (await check_topics(settings)).limits
    )
    await producer.init_transactions()
    return producer


def partition_0(topics: Topics) -> TopicPartition:
    return TopicPartition(topics.settings.qa.questions_topic, 0)


def fail_commits(
    patch: pytest.MonkeyPatch, *errors: Exception, after_the_commit: bool = False
) -> None:
    """Each of the next commits with records raises one of `errors`, instead of committing or after
    it.
    """
    left = list(errors)

    async def commit(
        self: TransactionalProducer, records: Sequence[OutputRecord], offsets: Offsets
    ) -> TransactionTime:
        fails = bool(records and left)
        time = TransactionTime(0.0, 0.0)
        if not fails or after_the_commit:
            time = await COMMIT(self, records, offsets)
        if fails:
            raise left.pop()
        return time

    patch.setattr(TransactionalProducer, "commit", commit)


@pytest.mark.parametrize("after_the_commit", [False, True])
async def test_failed_transaction_repeats_no_answer(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch, after_the_commit: bool
) -> None:
    fail_commits(monkeypatch, TimeoutError(), after_the_commit=after_the_commit)
    restarts, sessions = _restarts(), _sessions()
    await topics.send([event(n) for n in range(20)], partition=0)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 20, 1: 0})
    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert _restarts() == restarts + 1
    assert _sessions() == sessions + 1, "the other partition continues in the same session"


@pytest.mark.parametrize("reset", ["earliest", "latest"])
async def test_start_offset_is_committed_before_fetching(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch, reset: str
) -> None:
    """Otherwise a failed first transaction would lose records to the reset policy "latest"."""
    engine, go, fails = StubEngine(), asyncio.Event(), 1 + MAX_RESTARTS + 1

    async def commit(
        self: TransactionalProducer, records: Sequence[OutputRecord], offsets: Offsets
    ) -> TransactionTime:
        nonlocal fails
        if {partition.partition for partition in offsets} == {0} and fails:
            await go.wait()
            fails -= 1
            raise OutOfOrderSequenceNumber
        time: TransactionTime = await COMMIT(self, records, offsets)
        return time

    monkeypatch.setattr(TransactionalProducer, "commit", commit)
    # Before the group has an offset, "latest" may skip records.
    await topics.send([event(n) for n in range(5)], partition=0)
    async with running(topics.with_(KAFKA_AUTO_OFFSET_RESET=reset), engine):
        await topics.committed_are({0: None, 1: 0})
        assert engine.seen == []
        go.set()
        start = {"earliest": 0, "latest": 5}[reset]
        await until(lambda: fails == 0, "the commit of the start offset has failed repeatedly")
        await until(lambda: _has_reached(topics, start), "the start offset is committed")
        await topics.send([event(n) for n in range(5, 10)], partition=0)
        await topics.committed_are({0: 10, 1: 0})
    assert await topics.ids() == [f"q-{n}" for n in range(start, 10)]


async def test_too_many_restarts_in_a_row_open_a_new_session(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = _sessions()
    errors = [OutOfOrderSequenceNumber() for _ in range(1 + MAX_RESTARTS + 1)]
    fail_commits(monkeypatch, *errors)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 0, 1: 0})
        await topics.send([event(0)], partition=0)
        await until(lambda: topics.has(1), "the answer")
    assert await topics.ids() == ["q-0"]
    assert _sessions() >= sessions + 2


async def test_unexpected_exception_ends_the_worker(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_commits(monkeypatch, ZeroDivisionError("a bug"))
    await topics.send([event(0)], partition=0)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(_supervisor(topics).run(asyncio.Event()), 30)
    assert await topics.ids() == []


async def test_new_fence_continues_at_the_committed_offset(
    topics: Topics, running: Running, client: BrokerClient
) -> None:
    """Two owners of one partition at once, as after a long pause of one of them."""
    settings, partition = topics.settings, partition_0(topics)
    restarts = _restarts()
    await topics.send([event(n) for n in range(3)], partition=0)
    async with running(settings, StubEngine()):
        await topics.committed_are({0: 3, 1: 0})
        other = await other_owner(topics, client)
        committed = await fetch_stable_offset(client, settings.kafka.group_id, partition)
        assert committed is not None
        assert committed.offset == 3
        value = (await topics.answers())[-1].value.replace(b"q-2", b"q-3")
        output = OutputRecord(settings.qa.answers_topic, b"k", value, [], source_partition=0)
        await topics.send([event(3)], partition=0)
        await until(lambda: _restarts() > restarts, "the fenced worker restarts its partition")
        with contextlib.suppress(InvalidProducerEpoch):  # the worker may have fenced it already
            await other.commit([output], {partition: 4})
        await topics.send([event(4)], partition=0)
        await topics.committed_are({0: 5, 1: 0})
    assert await topics.ids() == [f"q-{n}" for n in range(5)]


async def test_committed_offset_beyond_the_end_ends_the_worker(
    topics: Topics, client: BrokerClient
) -> None:
    await (await other_owner(topics, client)).commit([], {partition_0(topics): 500})
    await topics.send([event(n) for n in range(3)], partition=0)
    with pytest.raises(StreamingError, match=r"ends at offset 3, but .* up to 500: .*reset"):
        await asyncio.wait_for(_supervisor(topics).run(asyncio.Event()), 30)
    assert (await topics.committed())[0] == 500


async def test_partition_that_returns_takes_a_new_fence(topics: Topics, running: Running) -> None:
    first, second = StubEngine(), StubEngine()
    async with running(topics.settings, first):
        await topics.send([event(n) for n in range(10)], key=None)
        await until(lambda: len(first.seen) == 10, "the first worker has both partitions")
        async with running(topics.settings, second):
            await topics.send([event(n) for n in range(10, 20)], key=None)
            await until(lambda: topics.has(20), "both workers answer")
            assert second.seen
        await topics.send([event(n) for n in range(20, 30)], key=None)
        await until(lambda: topics.has(30), "the first worker has both partitions again")
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(30))


def _supervisor(topics: Topics) -> WorkerSupervisor:
    health = Health(lambda: 0.0, stall_after=60, contact_after=60)
    return WorkerSupervisor(topics.settings, StubEngine(), health)


async def _has_reached(topics: Topics, offset: int) -> bool:
    committed = (await topics.committed())[0]
    return committed is not None and committed >= offset


def _restarts() -> float:
    return REGISTRY.get_sample_value("qa_partition_restarts_total") or 0.0


def _sessions() -> float:
    return REGISTRY.get_sample_value("qa_sessions_opened_total") or 0.0
