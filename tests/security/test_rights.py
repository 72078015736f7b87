"""A worker with the least rights that the README lists, and without each of them."""

import asyncio

import pytest

from tests.security.acls import (
    Acl,
    describe,
    describe_group,
    describe_transactions,
    grant,
    read,
    read_group,
    take_away,
    write,
    write_transactions,
)
from tests.security.secured import USER, Secured
from tests.streaming.conftest import RunningPipeline
from tests.streaming.stub_reader import StubReader
from tests.streaming.topics import Topics, event, until
from worker.settings import Settings
from worker.streaming.errors import StreamingError

LEAST = {
    "exactly_once": ("questions", "answers", "dead letters", "group", "transactional ids"),
    "at_least_once": ("questions", "answers", "dead letters", "group"),
}


def _rights(settings: Settings) -> dict[str, tuple[Acl, Acl, str]]:
    """What the README lists; what is left where only that is taken, so that the topic or the id
    can still be seen; how it is named where it is missing.
    """
    qa, group = settings.qa, settings.kafka.group_id
    ids = f"{group}:{qa.questions_topic}:"
    return {
        "questions": (
            read(qa.questions_topic),
            describe(qa.questions_topic),
            f"READ on topic {qa.questions_topic}",
        ),
        "answers": (
            write(qa.answers_topic),
            describe(qa.answers_topic),
            f"WRITE on topic {qa.answers_topic}",
        ),
        "dead letters": (
            write(qa.dead_letters_topic),
            describe(qa.dead_letters_topic),
            f"WRITE on topic {qa.dead_letters_topic}",
        ),
        "group": (read_group(group), describe_group(group), f"READ on group {group}"),
        "transactional ids": (
            write_transactions(ids),
            describe_transactions(ids),
            f"WRITE on transactional ids that begin with {ids}",
        ),
    }


async def _topics(kafka: Secured, delivery: str) -> Topics:
    """Of one worker's own, which has its least rights there."""
    topics = Topics(
        kafka.kafka.bootstrap_servers,
        # A member that may not leave its group is missed after the session timeout.
        {"QA_DELIVERY": delivery, "KAFKA_SESSION_TIMEOUT_MS": "1000"},
    )
    await topics.create()
    rights = _rights(topics.settings)
    await grant(topics.servers, [rights[name][0] for name in LEAST[delivery]])
    return topics


@pytest.mark.parametrize("delivery", LEAST)
async def test_the_least_rights_are_enough(kafka: Secured, delivery: str) -> None:
    topics = await _topics(kafka, delivery)
    await topics.send([event(n) for n in range(20)], partition=0)
    await topics.send([b"no JSON"], partition=1)

    await _works(topics, topics.with_(**kafka.sasl()), answers=20)

    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert len(await topics.dead_letters()) == 1


@pytest.mark.parametrize("delivery", LEAST)
async def test_without_one_of_them_the_start_fails_and_names_it(
    kafka: Secured, delivery: str
) -> None:
    async def start(right: str, *, seen: bool) -> None:
        topics = await _topics(kafka, delivery)
        acl, only_described, name = _rights(topics.settings)[right]
        if seen:
            await grant(topics.servers, [only_described])
        await take_away(topics.servers, acl)
        with pytest.raises(StreamingError) as ended:
            async with asyncio.timeout(15):
                await RunningPipeline(topics.with_(**kafka.sasl()), StubReader()).task
        assert str(ended.value).startswith(f"User:{USER} lacks {name};")

    async with asyncio.TaskGroup() as group:
        for right in LEAST[delivery]:
            group.create_task(start(right, seen=False), name=right)
            group.create_task(start(right, seen=True), name=f"{right}, described")


@pytest.mark.parametrize("delivery", LEAST)
async def test_one_that_is_taken_away_at_work_ends_it_and_loses_nothing(
    kafka: Secured, delivery: str
) -> None:
    async def work(right: str) -> None:
        topics = await _topics(kafka, delivery)
        acl, _, name = _rights(topics.settings)[right]
        settings = topics.with_(**kafka.sasl())
        pipeline = RunningPipeline(settings, StubReader())
        await pipeline.ready()
        await topics.send([event(0), event(1)])
        await until(lambda: topics.has(2), "it works")

        await take_away(topics.servers, acl)
        await topics.send([event(2), event(3), b"no JSON", b"nor this"])
        with pytest.raises(StreamingError) as ended:
            async with asyncio.timeout(15):
                await pipeline.task
        assert str(ended.value).startswith(f"User:{USER} lacks {name};")

        await grant(topics.servers, [acl])
        await _works(topics, settings, answers=4)
        assert set(await topics.ids()) == {f"q-{n}" for n in range(4)}

    async with asyncio.TaskGroup() as group:
        for right in LEAST[delivery]:
            group.create_task(work(right), name=right)


async def _works(topics: Topics, settings: Settings, *, answers: int) -> None:
    pipeline = RunningPipeline(settings, StubReader())
    await pipeline.ready()
    await until(lambda: topics.has(answers), "all is answered")
    pipeline.stop.set()
    await pipeline.task
