"""A worker with the least rights that the README lists, and without each of them."""

import asyncio
import time
from collections.abc import AsyncIterator

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
EACH = [(delivery, right) for delivery, rights in LEAST.items() for right in rights]


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


@pytest.fixture
async def topics(kafka: Secured) -> Topics:
    own = Topics(kafka.kafka.bootstrap_servers)
    await own.create()
    return own


async def _granted(topics: Topics, delivery: str) -> dict[str, tuple[Acl, Acl, str]]:
    rights = _rights(topics.settings)
    await grant(topics.servers, [rights[name][0] for name in LEAST[delivery]])
    return rights


async def _work(topics: Topics, settings: Settings, count: int) -> None:
    await topics.send([event(n) for n in range(count)], partition=0)
    await topics.send([b"no JSON"], partition=1)
    pipeline = RunningPipeline(settings, StubReader())
    await pipeline.ready()
    await topics.committed_are({0: count + 1 if False else count, 1: 1})
    pipeline.stop.set()
    await pipeline.task


@pytest.mark.parametrize("delivery", LEAST)
async def test_the_least_rights_are_enough(kafka: Secured, topics: Topics, delivery: str) -> None:
    await _granted(topics, delivery)
    settings = topics.with_(**kafka.sasl(), QA_DELIVERY=delivery)
    await topics.send([event(n) for n in range(20)], partition=0)
    await topics.send([b"no JSON"], partition=1)
    pipeline = RunningPipeline(settings, StubReader())
    await pipeline.ready()

    await until(lambda: topics.has(20), "all is answered")
    pipeline.stop.set()
    await pipeline.task

    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert len(await topics.dead_letters()) == 1


@pytest.mark.parametrize("seen", [True, False], ids=["described", "unseen"])
@pytest.mark.parametrize(("delivery", "right"), EACH)
async def test_without_one_of_them_the_start_fails_and_names_it(
    kafka: Secured, topics: Topics, delivery: str, right: str, seen: bool
) -> None:
    rights = await _granted(topics, delivery)
    acl, only_described, name = rights[right]
    if seen:
        await grant(topics.servers, [only_described])
    await take_away(topics.servers, acl)
    settings = topics.with_(**kafka.sasl(), QA_DELIVERY=delivery)

    with pytest.raises(StreamingError) as ended:
        async with asyncio.timeout(10):
            await RunningPipeline(settings, StubReader()).task

    assert str(ended.value).startswith(f"User:{USER} lacks {name};"), ended.value


@pytest.mark.parametrize(("delivery", "right"), EACH)
async def test_one_that_is_taken_away_at_work_ends_it_and_loses_nothing(
    kafka: Secured, topics: Topics, delivery: str, right: str
) -> None:
    rights = await _granted(topics, delivery)
    acl, only_described, name = rights[right]
    settings = topics.with_(**kafka.sasl(), QA_DELIVERY=delivery)
    pipeline = RunningPipeline(settings, StubReader())
    await pipeline.ready()
    await topics.send([event(0), event(1)])
    await until(lambda: topics.has(2), "it works")
    await take_away(topics.servers, acl)
    began = time.monotonic()
    await topics.send([event(2), event(3), b"no JSON", b"nor this"])

    with pytest.raises(StreamingError, match=f"User:{USER} lacks ") as ended:
        async with asyncio.timeout(20):
            await pipeline.task

    print(f"{delivery} {right}: {time.monotonic() - began:.1f} s: {ended.value}")
    assert str(ended.value).startswith(f"User:{USER} lacks {name};"), ended.value
    await grant(topics.servers, [acl])
    again = RunningPipeline(settings, StubReader())
    await again.ready()
    await until(lambda: topics.has(4), "the rest is answered")
    again.stop.set()
    await again.task
    ids = await topics.ids()
    assert set(ids) == {f"q-{n}" for n in range(4)}
