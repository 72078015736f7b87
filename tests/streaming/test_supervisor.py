"""How a worker's life on Kafka begins and ends: what stops the start, what ends the work."""

import asyncio
import gc
import time
import warnings

import pytest
from prometheus_client import REGISTRY

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.errors import StreamingError
from worker.kafka.topic_requirements import check_topics
from worker.kafka.topics import create_topics, describe_topics
from worker.observability.health import Health
from worker.streaming import session, watchdog
from worker.streaming.delivery.base import Partitions
from worker.streaming.delivery.exactly_once import ExactlyOnce
from worker.streaming.supervisor import WorkerSupervisor


def healthy(stall_after: float = 3600) -> Health:
    return Health(time.monotonic, stall_after=stall_after, contact_after=20)


async def test_a_missing_topic_stops_the_start_and_is_named(topics: Topics) -> None:
    settings = topics.with_(QA_ANSWERS_TOPIC="nobody-made-this")
    with pytest.raises(StreamingError, match=r"no topic nobody-made-this .*topics create"):
        await WorkerSupervisor(settings, StubEngine(), healthy()).run(asyncio.Event())


async def test_an_unreachable_broker_stops_the_start_and_is_named(topics: Topics) -> None:
    settings = topics.with_(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    with pytest.raises(StreamingError, match=r"cannot start with 127\.0\.0\.1:1"):
        await WorkerSupervisor(settings, StubEngine(), healthy()).run(asyncio.Event())


async def test_work_that_is_due_and_never_done_ends_the_worker(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.05)
    await topics.send([event(1)])
    settings = topics.with_(QA_DRAIN_SECONDS="0.1")
    pipeline = WorkerSupervisor(
        settings, StubEngine(holds=lambda _: True), healthy(stall_after=0.5)
    )
    with pytest.raises(StreamingError, match=r"1 records in flight .*QA_STALL_SECONDS"):
        await asyncio.wait_for(pipeline.run(asyncio.Event()), 30)
    assert await topics.ids() == []


async def test_a_worker_that_waits_for_its_group_can_still_be_stopped(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CLOSE_SECONDS", 0.5)
    # The first member does not finish its drain, so the second waits for the rebalance.
    await topics.send([event(1)], partition=0)
    stuck = StubEngine(holds=lambda _: True)
    async with running(topics.settings, stuck):
        await until(lambda: len(stuck.seen) == 1, "the first is busy")
        revocations = _revocations()
        stop = asyncio.Event()
        waiting = WorkerSupervisor(topics.settings, StubEngine(), healthy()).run(stop)
        second = asyncio.create_task(waiting)
        await until(lambda: _revocations() > revocations, "the rebalance has begun")
        stop.set()
        # Well before the first has given up on its drain.
        await asyncio.wait_for(second, topics.settings.qa.drain_seconds / 2)
        stuck.release_all()


async def test_a_stop_in_the_middle_of_a_rebalance_still_finishes_what_is_in_flight(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.send([event(n) for n in range(5)], partition=0)
    busy = StubEngine(holds=lambda _: True)
    unanswered_at_the_deliverys_end: list[int] = []
    close_delivery = ExactlyOnce.close

    async def close_and_note(
        delivery: ExactlyOnce, partitions: Partitions, *, seconds: float
    ) -> None:
        unanswered_at_the_deliverys_end.append(len(busy.held))
        await close_delivery(delivery, partitions, seconds=seconds)

    monkeypatch.setattr(ExactlyOnce, "close", close_and_note)
    async with running(topics.settings, busy) as first:
        await until(lambda: len(busy.seen) == 5, "the first is busy")
        revocations = _revocations()
        stop = asyncio.Event()
        other = WorkerSupervisor(topics.settings, StubEngine(), healthy()).run(stop)
        second = asyncio.create_task(other)
        await until(lambda: _revocations() > revocations, "the rebalance has begun")
        first.stop.set()
        await until(lambda: not first.health.ready, "the first is stopping")
        # Turns of the loop, in which nothing that needs the network could come in between.
        for _ in range(100):
            await asyncio.sleep(0)
        busy.release_all()
        await first.task
        assert unanswered_at_the_deliverys_end == [0]
        # Taken, answered, committed; so the second finds nothing left to do.
        assert await topics.ids() == [f"q-{n}" for n in range(5)]
        assert (await topics.committed())[0] == 5
        stop.set()
        await second


async def test_a_stop_in_the_middle_of_connecting_leaves_nothing_open(topics: Topics) -> None:
    for turns in range(60):
        link = BrokerClient(client_for_transactions(topics.settings.kafka))
        starting = asyncio.create_task(link.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await link.stop()
        await asyncio.wait([starting])
    # An open connection that nobody holds any more complains when it is collected.
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(each.message) for each in complaints if each.category is ResourceWarning] == []


async def test_creating_topics_twice_is_no_error(topics: Topics) -> None:
    outcome = await create_topics(topics.settings, partitions=2, replication=1)
    assert set(outcome.values()) == {"exists"}
    described = await describe_topics(topics.settings)
    assert [topic.partitions for topic in described] == [2, 2, 2]


async def test_dead_letters_have_room_for_the_largest_record_and_its_headers(
    topics: Topics,
) -> None:
    limits = await check_topics(topics.settings)
    qa = topics.settings.qa
    assert limits[qa.dead_letters_topic] > limits[qa.questions_topic] > qa.max_record_bytes


def _revocations() -> float:
    return REGISTRY.get_sample_value("qa_revocations_total") or 0.0
