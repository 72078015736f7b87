"""Delivery on a real broker in both modes: no loss, order within a partition, and committed offsets
only behind completed records. The engine is a stub.
"""

import asyncio
import json
from typing import Any

import pytest

from schemas.question import Question
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_answers_keep_the_order_of_their_partition(topics: Topics, running: Running) -> None:
    await topics.send([event(n) for n in range(200)], key=None)
    async with running(topics.settings, StubEngine()):
        await until(lambda: topics.has(200), "200 answers")
    answers = [json.loads(record.value) for record in await topics.answers()]
    assert sorted(answer["id"] for answer in answers) == sorted(f"q-{n}" for n in range(200))
    for partition in range(topics.partitions):
        sources = [answer["source"] for answer in answers]
        offsets = [s["offset"] for s in sources if s["partition"] == partition]
        assert offsets == list(range(100))


async def test_commit_stops_at_the_first_incomplete_record(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(n) for n in range(10)], partition=0)
    engine = StubEngine(holds=lambda q: q.question == "Who is number 4?")
    async with running(topics.settings, engine):
        await topics.committed_are({0: 4, 1: 0})
        await until(lambda: len(engine.seen) == 10, "the engine has all questions")
        # The six answers behind the missing one wait for it.
        assert await topics.ids() == [f"q-{n}" for n in range(4)]
        engine.release_all()
        await topics.committed_are({0: 10, 1: 0})
    assert await topics.ids() == [f"q-{n}" for n in range(10)]


async def test_idle_partition_commits_its_start_offset(topics: Topics, running: Running) -> None:
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 0, 1: 0})


async def test_stop_drains_and_commits_records_in_flight(topics: Topics, running: Running) -> None:
    await topics.send([event(n) for n in range(20)], partition=0)
    engine = StubEngine(holds=lambda _: True)
    async with running(topics.settings, engine) as worker:
        await until(lambda: len(engine.seen) == 20, "all records are in flight")
        worker.stop.set()
        await until(lambda: not worker.health.ready, "the worker drains")
        assert not worker.task.done()
        engine.release_all()
        await worker.task
    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert (await topics.committed())[0] == 20


async def test_records_not_drained_in_time_go_to_the_next_worker(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(n) for n in range(6)], partition=0)
    stuck = StubEngine(holds=lambda q: q.question == "Who is number 3?")
    async with running(topics.with_(QA_DRAIN_SECONDS="0.5"), stuck):
        await until(lambda: len(stuck.seen) == 6, "all records are in flight")
    assert (await topics.committed())[0] == 3
    assert stuck.held["Who is number 3?"][1].cancelled()
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 6, 1: 0})
    assert await topics.ids() == [f"q-{n}" for n in range(6)]


@pytest.mark.parametrize("assignor", ["roundrobin", "range"])
async def test_rebalance_loses_and_repeats_nothing(
    topics: Topics, running: Running, assignor: str
) -> None:
    settings = topics.with_(KAFKA_PARTITION_ASSIGNMENT_STRATEGY=assignor)
    first, second, enough = StubEngine(), StubEngine(), asyncio.Event()
    sending = asyncio.create_task(_send_until(topics, enough))
    async with running(settings, first):
        try:
            await until(lambda: len(first.seen) > 20, "the first worker has records")
            async with running(settings, second):
                await until(lambda: len(second.seen) > 20, "the second worker has records")
            count = len(first.seen)
            await until(lambda: len(first.seen) > count + 20, "the first has all partitions again")
        finally:
            enough.set()
            sent = await sending

        async def all_committed() -> bool:
            return sum(offset or 0 for offset in (await topics.committed()).values()) == sent

        await until(all_committed, "all offsets are committed")
    # A rebalance drains and commits, so at-least-once delivery does not repeat either.
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(sent))


async def test_late_completion_of_a_revoked_partition_is_ignored(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(0)], partition=0)
    stuck = StubEngine(holds=lambda _: True)
    settings = topics.with_(QA_DRAIN_SECONDS="0.2")
    async with running(settings, stuck):
        await until(lambda: len(stuck.seen) == 1, "the record is in flight")
        other = StubEngine(holds=lambda _: True)
        async with running(settings, other):
            # The drain timed out, so the next owner of partition 0 reads the record again.
            await until(lambda: len(stuck.seen) + len(other.seen) == 2, "the record is read again")
            assert await topics.ids() == []
            stuck.release_all()
            other.release_all()
            await until(lambda: topics.has(1), "one answer")
    assert await topics.ids() == ["q-0"]


async def test_new_session_reads_undelivered_records_again(
    topics: Topics, running: Running
) -> None:
    class Broken(StubEngine):
        failures = 2

        def submit(self, event: Any, **more: Any) -> Any:
            assert isinstance(event, Question)
            if event.question == "Who is number 1?" and self.failures:
                self.failures -= 1
                raise OSError("the device is gone")
            return super().submit(event, **more)

    await topics.send([event(n) for n in range(3)], partition=0)
    async with running(topics.settings, Broken()):
        await topics.committed_are({0: 3, 1: 0})
    assert await topics.ids() == ["q-0", "q-1", "q-2"]


async def _send_until(topics: Topics, enough: asyncio.Event) -> int:
    """Returns how many questions it sent."""
    sent = 0
    while not enough.is_set():
        await topics.send([event(n) for n in range(sent, sent + 10)], key=None)
        sent += 10
    return sent
