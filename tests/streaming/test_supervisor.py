"""The supervisor on a broker: errors that prevent the start, errors that end the worker, and stops
at inconvenient moments.
"""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.errors import StreamingError
from worker.observability.health import Health
from worker.settings import Settings
from worker.streaming import session, watchdog
from worker.streaming.delivery.base import Partitions
from worker.streaming.delivery.exactly_once import ExactlyOnce
from worker.streaming.supervisor import WorkerSupervisor


def supervisor(
    settings: Settings, engine: StubEngine | None = None, *, stall_after: float = 3600
) -> WorkerSupervisor:
    health = Health(time.monotonic, stall_after=stall_after, contact_after=20)
    return WorkerSupervisor(settings, engine or StubEngine(), health)


async def test_start_without_a_topic_names_the_topic(topics: Topics) -> None:
    settings = topics.with_(QA_ANSWERS_TOPIC="missing-topic")
    with pytest.raises(StreamingError, match=r"no topic missing-topic .*topics create"):
        await supervisor(settings).run(asyncio.Event())


async def test_start_without_a_broker_names_the_address(topics: Topics) -> None:
    settings = topics.with_(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    with pytest.raises(StreamingError, match=r"cannot start with 127\.0\.0\.1:1"):
        await supervisor(settings).run(asyncio.Event())


async def test_stalled_work_ends_the_worker(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.05)
    await topics.send([event(1)])
    stuck = StubEngine(holds=lambda _: True)
    stalled = supervisor(topics.with_(QA_DRAIN_SECONDS="0.1"), stuck, stall_after=0.5)
    with pytest.raises(StreamingError, match=r"1 records in flight .*QA_STALL_SECONDS"):
        await asyncio.wait_for(stalled.run(asyncio.Event()), 30)
    assert await topics.ids() == []


async def test_stop_while_joining_the_group_is_immediate(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CLOSE_SECONDS", 0.5)
    # The first member does not finish its drain, so the second waits for the rebalance.
    await topics.send([event(1)], partition=0)
    stuck = StubEngine(holds=lambda _: True)
    async with running(topics.settings, stuck):
        await until(lambda: len(stuck.seen) == 1, "the first worker has a record in flight")
        revocations = _revocations()
        stop = asyncio.Event()
        second = asyncio.create_task(supervisor(topics.settings).run(stop))
        await until(lambda: _revocations() > revocations, "the rebalance has begun")
        stop.set()
        # Well before the first worker's drain times out.
        await asyncio.wait_for(second, topics.settings.qa.drain_seconds / 2)
        stuck.release_all()


async def test_stop_during_a_rebalance_finishes_the_drain(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.send([event(n) for n in range(5)], partition=0)
    engine = StubEngine(holds=lambda _: True)
    in_flight_at_close: list[int] = []
    close = ExactlyOnce.close

    async def close_and_count(
        delivery: ExactlyOnce, partitions: Partitions, *, seconds: float
    ) -> None:
        in_flight_at_close.append(len(engine.held))
        await close(delivery, partitions, seconds=seconds)

    monkeypatch.setattr(ExactlyOnce, "close", close_and_count)
    async with running(topics.settings, engine) as first:
        await until(lambda: len(engine.seen) == 5, "the first worker has records in flight")
        revocations = _revocations()
        stop = asyncio.Event()
        second = asyncio.create_task(supervisor(topics.settings).run(stop))
        await until(lambda: _revocations() > revocations, "the rebalance has begun")
        first.stop.set()
        await until(lambda: not first.health.ready, "the first worker stops")
        # Give a close that does not wait for the drain the turns that it needs.
        for _ in range(100):
            await asyncio.sleep(0)
        engine.release_all()
        await first.task
        assert in_flight_at_close == [0]
        # All was committed, so the second worker repeats nothing.
        assert await topics.ids() == [f"q-{n}" for n in range(5)]
        assert (await topics.committed())[0] == 5
        stop.set()
        await second


def _revocations() -> float:
    return REGISTRY.get_sample_value("qa_revocations_total") or 0.0
