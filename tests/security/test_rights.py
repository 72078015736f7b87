"""A worker with the least rights that deploy/security.md lists, and without each of them."""

import asyncio

import pytest

from tests.security.acls import Acl, grant, take_away
from tests.security.documented import documented
from tests.security.secured import USER, Secured
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.errors import StreamingError
from worker.streaming import session

LEAST = {
    "exactly_once": ("run", "run, exactly once"),
    "at_least_once": ("run",),
}
COUNTS = {"exactly_once": 5, "at_least_once": 4}


async def _topics(kafka: Secured, delivery: str) -> tuple[Topics, list[Acl]]:
    """Of one worker's own, and its least rights there, which it has."""
    topics = Topics(
        kafka.kafka.bootstrap_servers,
        # A member that may not leave its group is missed after the session timeout.
        {"QA_DELIVERY": delivery, "KAFKA_SESSION_TIMEOUT_MS": "1000"},
    )
    await topics.create()
    rights = [acl for use in LEAST[delivery] for acl in documented(use, topics.settings)]
    await grant(topics.servers, *rights)
    assert len(rights) == COUNTS[delivery]
    return topics, rights


@pytest.mark.parametrize("delivery", LEAST)
async def test_the_least_rights_are_enough(kafka: Secured, delivery: str) -> None:
    topics, _ = await _topics(kafka, delivery)
    await topics.send([event(n) for n in range(20)], partition=0)
    await topics.send([b"no JSON"], partition=1)

    pipeline = RunningWorker(topics.with_(**kafka.sasl()), StubEngine())
    await pipeline.ready()
    await topics.committed_are({0: 20, 1: 1})
    pipeline.stop.set()
    await pipeline.task

    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert len(await topics.dead_letters()) == 1


@pytest.mark.parametrize("delivery", LEAST)
async def test_without_one_of_them_the_start_fails_and_names_it(
    kafka: Secured, delivery: str
) -> None:
    async def start(number: int, *, seen: bool) -> None:
        topics, rights = await _topics(kafka, delivery)
        right = rights[number]
        if seen:
            await grant(topics.servers, right.described)
        await take_away(topics.servers, right)
        with pytest.raises(StreamingError) as ended:
            async with asyncio.timeout(15):
                await RunningWorker(topics.with_(**kafka.sasl()), StubEngine()).task
        assert str(ended.value).startswith(f"User:{USER} lacks {right.said};")

    async with asyncio.TaskGroup() as group:
        for number in range(COUNTS[delivery]):
            group.create_task(start(number, seen=False))
            group.create_task(start(number, seen=True))


@pytest.mark.parametrize("delivery", LEAST)
async def test_one_that_is_taken_away_at_work_ends_it_and_loses_nothing(
    kafka: Secured, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A producer that may not write waits for all of that time.
    monkeypatch.setattr(session, "CLOSE_SECONDS", 1.0)

    async def work(number: int) -> None:
        topics, rights = await _topics(kafka, delivery)
        right = rights[number]
        settings = topics.with_(**kafka.sasl())
        pipeline = RunningWorker(settings, StubEngine())
        await pipeline.ready()
        await topics.send([event(0), event(1)])
        await until(lambda: topics.has(2), "it works")

        await take_away(topics.servers, right)
        await topics.send([event(2), event(3), b"no JSON", b"nor this"])
        with pytest.raises(StreamingError) as ended:
            async with asyncio.timeout(15):
                await pipeline.task
        assert str(ended.value).startswith(f"User:{USER} lacks {right.said};")

        await grant(topics.servers, right)
        again = RunningWorker(settings, StubEngine())
        await again.ready()
        await until(lambda: topics.has(4), "all is answered")
        again.stop.set()
        await again.task
        assert set(await topics.ids()) == {f"q-{n}" for n in range(4)}

    async with asyncio.TaskGroup() as group:
        for number in range(COUNTS[delivery]):
            group.create_task(work(number))
