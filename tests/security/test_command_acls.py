"""The ACLs in deploy/security.md for all commands except `run`: sufficient, and all needed."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.dead_letters.records import dead_letter, post, replay
from tests.security.acls import grant, revoke
from tests.security.documented_acls import documented_acls
from tests.security.secure_broker import USER, SecureBroker
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.answers.join import join_answers
from worker.answers.sources import open_topics
from worker.client import QuestionClient
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka.errors import StreamingError
from worker.kafka.topic_requirements import check_topics
from worker.kafka.topics import DEFAULT_MAX_MESSAGE_BYTES, create_topics, describe_topics

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]

Command = Callable[[Topics], Awaitable[object]]


async def ask(restricted: Topics) -> None:
    async with QuestionClient.open(restricted.settings) as client:
        question = await client.send(event(1))
        assert (await client.wait_for_result(question, timeout_seconds=10)).value is not None
        question = await client.send(b"no JSON")
        assert (await client.wait_for_result(question, timeout_seconds=10)).reason == "not_json"


async def list_dead_letters(restricted: Topics) -> None:
    dead_letters = read_dead_letters(restricted.settings, DeadLetterFilter(), lambda *_: None)
    assert len([dead_letter async for dead_letter in dead_letters]) == 1


async def replay_dead_letters(restricted: Topics) -> None:
    assert len(await replay(restricted)) == 1


async def compare_answers(restricted: Topics) -> None:
    topics = restricted.settings.qa.answers_topic, f"{restricted.settings.qa.answers_topic}.shadow"
    async with open_topics(restricted.settings, topics, None, lambda _: None) as (left, right):
        join = await join_answers(left, right, lambda *_: None)
    assert (join.left.answers, join.right.answers) == (0, 0)


@pytest.mark.parametrize(
    ("command", "heading"),
    [
        (ask, "ask"),
        (list_dead_letters, "dead-letters list, show"),
        (replay_dead_letters, "dead-letters replay"),
        (compare_answers, "answers compare --left qa.answers --right qa.answers.shadow"),
    ],
)
async def test_command_needs_the_documented_acls_and_names_a_missing_one(
    kafka: SecureBroker, command: Command, heading: str, running: Running
) -> None:
    privileged = Topics(kafka.bootstrap_servers)
    await privileged.create()
    restricted = Topics(privileged.servers, {**privileged.environment, **kafka.sasl()})
    acls = documented_acls(heading, restricted.settings)
    await grant(restricted.servers, *acls)
    async with AsyncExitStack() as stack:
        if command is ask:
            await stack.enter_async_context(running(privileged.settings, StubEngine()))
        elif command is compare_answers:
            shadow = privileged.with_(
                QA_ANSWERS_TOPIC=f"{privileged.settings.qa.answers_topic}.shadow"
            )
            await create_topics(shadow, partitions=1, replication=1)
        else:
            await post(privileged, dead_letter(privileged))

        await command(restricted)

        for acl in acls:
            await revoke(restricted.servers, acl)
            with pytest.raises(StreamingError) as error:
                async with asyncio.timeout(15):
                    await command(restricted)
            assert str(error.value).startswith(f"User:{USER} lacks {acl.text};")
            await grant(restricted.servers, acl)


async def test_acls_to_create_and_to_describe_topics(kafka: SecureBroker) -> None:
    restricted = Topics(kafka.bootstrap_servers, kafka.sasl())
    *others, last = documented_acls("topics create", restricted.settings)
    await grant(restricted.servers, *others)
    with pytest.raises(StreamingError, match=f"User:{USER} lacks {re.escape(last.text)};"):
        await restricted.create()
    await grant(restricted.servers, last)
    await create_topics(restricted.settings, partitions=1, replication=1)
    assert not any(topic.partitions for topic in await describe_topics(restricted.settings))
    await grant(restricted.servers, *documented_acls("topics check", restricted.settings))

    async def described() -> bool:
        return all(topic.partitions for topic in await describe_topics(restricted.settings))

    await until(described, "the broker describes the topics")


async def test_max_message_bytes_without_describe_configs(kafka: SecureBroker) -> None:
    privileged = Topics(kafka.bootstrap_servers)
    await privileged.create()
    restricted = Topics(privileged.servers, {**privileged.environment, **kafka.sasl()})
    for heading in ("run", "run, exactly once"):
        await grant(restricted.servers, *documented_acls(heading, restricted.settings))
    assert set((await check_topics(restricted.settings)).limits.values()) == {
        DEFAULT_MAX_MESSAGE_BYTES
    }
    heading = "run, with topics that take more than Kafka's default of 1 MiB"
    await grant(restricted.servers, *documented_acls(heading, restricted.settings))
    limits = (await check_topics(restricted.settings)).limits
    expected = (await check_topics(privileged.settings)).limits
    for topic in (restricted.settings.qa.answers_topic, restricted.settings.qa.dead_letters_topic):
        assert limits[topic] == expected[topic] > DEFAULT_MAX_MESSAGE_BYTES
