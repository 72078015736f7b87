"""A worker of two questions topics, in both modes of delivery."""

import json
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from tests.brokers.protocol import Broker
from tests.streaming.conftest import Running
from tests.streaming.question_topics import two_topics
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event
from worker.kafka.group_start import find_group_start
from worker.kafka.topics import admin_client


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def both(broker: Broker, delivery: str) -> AsyncIterator[tuple[Topics, Topics]]:
    async with two_topics(broker.bootstrap_servers, {"QA_DELIVERY": delivery}) as both:
        yield both


async def test_both_topics_are_answered_and_committed(
    both: tuple[Topics, Topics], running: Running
) -> None:
    first, second = both
    # The same partitions and offsets in both.
    await first.send([event(n) for n in range(10)])
    await second.send([event(n) for n in range(10, 19)])
    await second.send([b"no JSON"], partition=1)
    engine = StubEngine()
    with capture_logs() as logs:
        async with running(first.settings, engine):
            await first.committed_are({0: 5, 1: 5})
            await second.committed_are({0: 5, 1: 5})
    found = [json.loads(record.value) for record in await first.answers()]
    sources = {
        (each["source"]["topic"], each["source"]["partition"], each["source"]["offset"]): each["id"]
        for each in found
    }
    names = [topics.settings.qa.questions_topic for topics in both]
    assert len(found) == len(sources) == 19
    for number in range(19):
        name, place = names[number >= 10], number % 10
        assert sources[name, place % 2, place // 2] == f"q-{number}"
    (dead,) = await first.dead_letters()
    headers = dict(dead.headers)
    assert headers["__connect.errors.topic"].decode() == names[1]
    # Each topic's questions wait in a queue of their own.
    assert {engine.queues[f"Who is number {n}?"] for n in range(10)} == {names[0]}
    assert {engine.queues[f"Who is number {n}?"] for n in range(10, 19)} == {names[1]}
    (assigned,) = [each for each in logs if each["event"] == "assigned"]
    assert assigned["topics"] == {name: [0, 1] for name in names}
    assert assigned["partitions"] == [0, 0, 1, 1]


async def test_a_stopped_worker_goes_on_in_both_topics(
    both: tuple[Topics, Topics], running: Running
) -> None:
    first, _ = both
    for topics in both:
        await topics.send([event(0)], partition=0)
    for again in (1, 2):
        async with running(first.settings, StubEngine()):
            for topics in both:
                await topics.committed_are({0: again, 1: 0})
        for topics in both:
            await topics.send([event(again)], partition=0)
    assert sorted(await first.ids()) == ["q-0", "q-0", "q-1", "q-1"]


async def test_an_added_topic_starts_at_its_own_position(
    both: tuple[Topics, Topics], running: Running
) -> None:
    """`latest` is for the topic of which the group has no offset, not for the other."""
    first, second = both
    settings = first.with_(KAFKA_AUTO_OFFSET_RESET="latest")
    async with running(second.settings, StubEngine()):
        await second.committed_are({0: 0, 1: 0})
    await second.send([event(n) for n in range(4)])  # while no worker runs
    await first.send([event(n) for n in range(10, 16)])  # before its group starts
    with capture_logs() as logs:
        async with running(settings, StubEngine()):
            await first.send([event(20)], partition=0)
            await first.committed_are({0: 4, 1: 3})
            await second.committed_are({0: 2, 1: 2})
    assert sorted(await first.ids()) == ["q-0", "q-1", "q-2", "q-20", "q-3"]
    (said,) = [each for each in logs if each["event"] == "group_without_offsets"]
    assert (said["topic"], said["records"]) == (first.settings.qa.questions_topic, 6)


async def test_static_members_that_return_with_another_topic_read_it(
    both: tuple[Topics, Topics], running: Running
) -> None:
    """The coordinator gives them the assignment of before."""
    first, second = both
    static = {"KAFKA_GROUP_INSTANCE_ID": "qa-worker-0"}
    async with running(second.with_(**static), StubEngine()):
        await second.committed_are({0: 0, 1: 0})
    await first.send([event(n) for n in range(4)])
    async with running(first.with_(**static), StubEngine()):
        await first.committed_are({0: 2, 1: 2})
    assert len(await first.ids()) == 4


async def test_an_offset_is_committed_with_the_id_of_its_topic(
    both: tuple[Topics, Topics], running: Running
) -> None:
    """So that a topic which was deleted and created again is noticed."""
    first, _ = both
    for topics in both:
        await topics.send([event(0)], partition=0)
    async with running(first.settings, StubEngine()):
        for topics in both:
            await topics.committed_are({0: 1, 1: 0})
    ids = (await find_group_start(first.settings)).topic_ids
    async with admin_client(first.settings.kafka) as admin:
        found = await admin.list_consumer_group_offsets(first.settings.kafka.group_id)
    names = {topics.settings.qa.questions_topic for topics in both}
    committed = {partition: entry.metadata for partition, entry in found.items() if entry.offset}
    assert committed == {TopicPartition(name, 0): ids.offset_metadata(name) for name in names}
    assert len(set(committed.values())) == 2
