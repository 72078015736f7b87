"""Exactly-once delivery where a transaction fails or the fence is taken: the partition begins anew
from its committed offset, and every answer is seen once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    OutOfOrderSequenceNumber,
    TransactionalIdAuthorizationFailed,
)
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
    fetch_stable_offset,
    transactional_id,
)
from worker.observability.health import Health
from worker.streaming.assignment import MAX_RESTARTS
from worker.streaming.supervisor import WorkerSupervisor

Offsets = Mapping[TopicPartition, int]
Commit = Callable[[TransactionalProducer, Sequence[OutputRecord], Offsets], Any]
COMMIT: Commit = TransactionalProducer.commit


class Failing:
    """Lets some transactions with records fail, before or behind their end."""

    def __init__(self, *errors: Exception, behind_the_end: bool = False) -> None:
        self.errors = list(errors)
        self._behind = behind_the_end

    async def commit(
        self, producer: TransactionalProducer, records: Sequence[OutputRecord], offsets: Offsets
    ) -> None:
        if not records or not self.errors:
            await COMMIT(producer, records, offsets)
            return
        if self._behind:
            await COMMIT(producer, records, offsets)
        raise self.errors.pop()


def let_fail(patch: pytest.MonkeyPatch, failing: Failing) -> None:
    async def commit(
        self: TransactionalProducer, records: Sequence[OutputRecord], offsets: Offsets
    ) -> None:
        await failing.commit(self, records, offsets)

    patch.setattr(TransactionalProducer, "commit", commit)


@pytest.mark.parametrize(
    "error", [OutOfOrderSequenceNumber(), TimeoutError(), KafkaConnectionError("gone"), OSError()]
)
@pytest.mark.parametrize("behind_the_end", [False, True])
async def test_a_failed_transaction_repeats_nothing_that_was_committed(
    topics: Topics,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    behind_the_end: bool,
) -> None:
    let_fail(monkeypatch, Failing(error, behind_the_end=behind_the_end))
    rebuilt, sessions = _count("qa_partition_restarts_total"), _sessions()
    await topics.send([event(n) for n in range(20)], partition=0)
    async with running(topics.settings, StubEngine()):
        await until(lambda: topics.has(20), "all are answered")
        await until(lambda: _committed(topics, 20), "all are committed")
    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert _count("qa_partition_restarts_total") == rebuilt + 1
    assert _sessions() == sessions + 1, "the other partitions went on"


@pytest.mark.parametrize("reset", ["earliest", "latest"])
async def test_nothing_is_read_before_there_is_an_offset_to_come_back_to(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch, reset: str
) -> None:
    """Else a first transaction that fails would find the consumer behind what it read."""
    reader, go, fails = StubEngine(), asyncio.Event(), 1 + MAX_RESTARTS + 1

    async def commit(
        self: TransactionalProducer, records: Sequence[OutputRecord], offsets: Offsets
    ) -> None:
        nonlocal fails
        if {partition.partition for partition in offsets} == {0} and fails:
            await go.wait()
            fails -= 1
            raise OutOfOrderSequenceNumber
        await COMMIT(self, records, offsets)

    monkeypatch.setattr(TransactionalProducer, "commit", commit)
    # What is there before the group has begun: "latest" may skip it, if it says so for good.
    await topics.send([event(n) for n in range(5)], partition=0)
    async with running(topics.with_(KAFKA_AUTO_OFFSET_RESET=reset), reader):
        # The other partition's beginning stands for this one's, which waits for its commit.
        await until(lambda: _committed_of(topics, 1, 0), "they have begun")
        assert reader.seen == []
        go.set()
        begin = {"earliest": 0, "latest": 5}[reset]
        await until(lambda: fails == 0, "it has failed as often as that")
        await until(lambda: _at_least(topics, begin), "the beginning is committed")
        await topics.send([event(n) for n in range(5, 10)], partition=0)
        await until(lambda: _committed(topics, 10), "all are committed")
    assert await topics.ids() == [f"q-{n}" for n in range(begin, 10)]


async def test_a_partition_that_does_not_recover_gets_a_new_session(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = _sessions()
    # The first fails behind a commit, that of the beginning; the others have brought nothing.
    let_fail(
        monkeypatch, Failing(*(OutOfOrderSequenceNumber() for _ in range(1 + MAX_RESTARTS + 1)))
    )
    async with running(topics.settings, StubEngine()):
        await until(lambda: _committed(topics, 0), "the beginning is committed")
        await topics.send([event(0)], partition=0)
        await until(lambda: topics.has(1), "answered in the end")
    assert await topics.ids() == ["q-0"]
    assert _sessions() >= sessions + 2


async def test_a_right_that_is_missing_stops_the_worker(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_fail(monkeypatch, Failing(TransactionalIdAuthorizationFailed("group:questions:0")))
    await topics.send([event(0)], partition=0)
    health = Health(lambda: 0.0, stall_after=60, contact_after=60)
    pipeline = WorkerSupervisor(topics.settings, StubEngine(), health)
    with pytest.raises(StreamingError, match="lacks WRITE on transactional ids that begin with"):
        await asyncio.wait_for(pipeline.run(asyncio.Event()), 30)
    assert await topics.ids() == []


async def test_a_bug_is_no_error_of_kafkas_and_ends_the_worker(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_fail(monkeypatch, Failing(ZeroDivisionError("a bug")))
    await topics.send([event(0)], partition=0)
    health = Health(lambda: 0.0, stall_after=60, contact_after=60)
    pipeline = WorkerSupervisor(topics.settings, StubEngine(), health)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(pipeline.run(asyncio.Event()), 30)


async def test_whoever_takes_the_fence_goes_on_where_the_other_committed(
    topics: Topics, running: Running
) -> None:
    """Two that both believe that they own the partition, as after a long pause."""
    settings = topics.settings
    link = BrokerClient(client_for_transactions(settings.kafka))
    await link.start()
    limits = await check_topics(settings)
    partition = TopicPartition(settings.qa.questions_topic, 0)
    rebuilt = _count("qa_partition_restarts_total")
    await topics.send([event(n) for n in range(3)], partition=0)
    async with running(settings, StubEngine()):
        await until(lambda: _committed(topics, 3), "three are committed")
        # The other comes: a fence, the offset, one record, its answer.
        group_id = settings.kafka.group_id
        other = TransactionalProducer(
            link, settings.kafka, transactional_id(group_id, partition), limits
        )
        await other.init_transactions()
        assert await fetch_stable_offset(link, group_id, partition) == 3
        answer = (await topics.answers())[-1]
        value = answer.value.replace(b"q-2", b"q-3")
        outgoing = OutputRecord(settings.qa.answers_topic, b"k", value, [], source_partition=0)
        await topics.send([event(3)], partition=0)
        # The worker has read it, too, and found itself fenced.
        await until(
            lambda: _count("qa_partition_restarts_total") > rebuilt, "the worker has noticed"
        )
        with contextlib.suppress(InvalidProducerEpoch):  # the worker may have it again already
            await other.commit([outgoing], {partition: 4})
        await topics.send([event(4)], partition=0)
        await until(lambda: _committed(topics, 5), "all are committed")
    await link.stop()
    assert await topics.ids() == [f"q-{n}" for n in range(5)]


async def test_a_partition_that_is_shorter_than_what_was_committed_stops_the_worker(
    topics: Topics,
) -> None:
    settings = topics.settings
    link = BrokerClient(client_for_transactions(settings.kafka))
    await link.start()
    partition = TopicPartition(settings.qa.questions_topic, 0)
    before = TransactionalProducer(
        link,
        settings.kafka,
        transactional_id(settings.kafka.group_id, partition),
        await check_topics(settings),
    )
    await before.init_transactions()
    await before.commit([], {partition: 500})
    await link.stop()
    await topics.send([event(n) for n in range(3)], partition=0)
    health = Health(lambda: 0.0, stall_after=60, contact_after=60)
    pipeline = WorkerSupervisor(settings, StubEngine(), health)
    with pytest.raises(StreamingError, match=r"at offset 0, but .* up to 500: .*reset-offsets"):
        await asyncio.wait_for(pipeline.run(asyncio.Event()), 30)
    assert (await topics.committed())[0] == 500


async def test_a_partition_that_comes_back_to_its_old_owner_begins_behind_a_new_fence(
    topics: Topics, running: Running
) -> None:
    first, second = StubEngine(), StubEngine()
    async with running(topics.settings, first):
        await topics.send([event(n) for n in range(10)], key=None)
        await until(lambda: len(first.seen) == 10, "the first has both")
        async with running(topics.settings, second):
            await topics.send([event(n) for n in range(10, 20)], key=None)
            await until(lambda: topics.has(20), "both answer")
            assert second.seen
        await topics.send([event(n) for n in range(20, 30)], key=None)
        await until(lambda: topics.has(30), "the first has both again")
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(30))


async def _committed(topics: Topics, offset: int) -> bool:
    return await _committed_of(topics, 0, offset)


async def _committed_of(topics: Topics, partition: int, offset: int) -> bool:
    return (await topics.committed())[partition] == offset


async def _at_least(topics: Topics, offset: int) -> bool:
    committed = (await topics.committed())[0]
    return committed is not None and committed >= offset


def _count(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def _sessions() -> float:
    return REGISTRY.get_sample_value("qa_sessions_opened_total") or 0.0
