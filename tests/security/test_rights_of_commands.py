"""The other commands with the least rights that the README lists, and without each of them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.dead_letters.records import letter, post, replay
from tests.security.acls import grant, take_away
from tests.security.documented import documented
from tests.security.secured import USER, Secured
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event
from worker.client import QuestionClient
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka.errors import StreamingError
from worker.kafka.topic_requirements import check_topics
from worker.kafka.topics import DEFAULT_MAX_MESSAGE_BYTES, describe_topics

Command = Callable[[Topics], Awaitable[object]]


async def ask(mine: Topics) -> None:
    async with QuestionClient.open(mine.settings) as client:
        question = await client.send(event(1))
        assert (await client.wait_for_result(question, timeout_seconds=10)).value is not None
        question = await client.send(b"no JSON")
        assert (await client.wait_for_result(question, timeout_seconds=10)).reason == "not_json"


async def list_letters(mine: Topics) -> None:
    found = [
        letter
        async for letter in read_dead_letters(mine.settings, DeadLetterFilter(), lambda *_: None)
    ]
    assert len(found) == 1


async def replay_letters(mine: Topics) -> None:
    assert len(await replay(mine)) == 1


@pytest.mark.parametrize(
    ("command", "use"),
    [
        (ask, "ask"),
        (list_letters, "dead-letters list, show"),
        (replay_letters, "dead-letters replay"),
    ],
)
async def test_a_command_needs_what_is_listed_and_names_what_is_missing(
    kafka: Secured, command: Command, use: str, running: Running
) -> None:
    everybody = Topics(kafka.kafka.bootstrap_servers)
    await everybody.create()
    mine = Topics(everybody.servers, {**everybody.environment, **kafka.sasl()})
    rights = documented(use, mine.settings)
    await grant(mine.servers, *rights)
    async with AsyncExitStack() as stack:
        if command is ask:
            await stack.enter_async_context(running(everybody.settings, StubEngine()))
        else:
            await post(everybody, letter(everybody))

        await command(mine)

        for right in rights:
            await take_away(mine.servers, right)
            with pytest.raises(StreamingError) as refused:
                async with asyncio.timeout(15):
                    await command(mine)
            assert str(refused.value).startswith(f"User:{USER} lacks {right.said};")
            await grant(mine.servers, right)


async def test_topics_are_made_with_the_right_to_and_seen_with_another(kafka: Secured) -> None:
    mine = Topics(kafka.kafka.bootstrap_servers, kafka.sasl())
    *most, last = documented("topics create", mine.settings)
    await grant(mine.servers, *most)
    with pytest.raises(StreamingError, match=f"User:{USER} lacks {re.escape(last.said)};"):
        await mine.create()
    await grant(mine.servers, last)
    await mine.create()
    assert not any(topic.partitions for topic in await describe_topics(mine.settings))
    await grant(mine.servers, *documented("topics check", mine.settings))
    assert all(topic.partitions for topic in await describe_topics(mine.settings))


async def test_what_topics_take_is_assumed_without_the_right_to_know(kafka: Secured) -> None:
    everybody = Topics(kafka.kafka.bootstrap_servers)
    await everybody.create()
    mine = Topics(everybody.servers, {**everybody.environment, **kafka.sasl()})
    for use in ("run", "run, exactly once"):
        await grant(mine.servers, *documented(use, mine.settings))
    assert set((await check_topics(mine.settings)).values()) == {DEFAULT_MAX_MESSAGE_BYTES}
    more = "run, with topics that take more than Kafka's default of 1 MiB"
    await grant(mine.servers, *documented(more, mine.settings))
    known = await check_topics(mine.settings)
    actual = await check_topics(everybody.settings)
    for topic in (mine.settings.qa.answers_topic, mine.settings.qa.dead_letters_topic):
        assert known[topic] == actual[topic] > DEFAULT_MAX_MESSAGE_BYTES
