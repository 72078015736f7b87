"""The other commands with the least rights that the README lists, and without each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import pytest

from tests.security.acls import (
    Acl,
    create,
    describe,
    grant,
    read,
    take_away,
    write,
    write_transactional_id,
)
from tests.security.secured import USER, Secured
from tests.streaming.conftest import Running
from tests.streaming.dead_letters import letter, post, replay
from tests.streaming.stub_reader import StubReader
from tests.streaming.topics import Topics, event
from worker.settings import Settings
from worker.streaming.asking import Asker
from worker.streaming.errors import StreamingError
from worker.streaming.letters import Filter
from worker.streaming.replay import letters
from worker.streaming.topics import describe as describe_topics

Command = Callable[[Topics], Awaitable[object]]


async def ask(mine: Topics) -> None:
    async with Asker(mine.settings) as asker:
        place = await asker.send(event(1))
        assert (await asker.outcome(place, seconds=10)).value is not None
        place = await asker.send(b"no JSON")
        assert (await asker.outcome(place, seconds=10)).reason == "not_json"


async def list_letters(mine: Topics) -> None:
    found = [letter async for letter in letters(mine.settings, Filter(), lambda *_: None)]
    assert len(found) == 1


async def replay_letters(mine: Topics) -> None:
    assert len(await replay(mine)) == 1


def _rights(command: Command, settings: Settings) -> Mapping[str, Acl]:
    """What it needs, by the name that is said where it is missing."""
    qa = settings.qa
    questions, answers, dead = qa.questions_topic, qa.answers_topic, qa.dead_letters_topic
    if command is ask:
        return {
            f"WRITE on topic {questions}": write(questions),
            f"READ on topic {answers}": read(answers),
            f"READ on topic {dead}": read(dead),
        }
    if command is list_letters:
        return {f"READ on topic {dead}": read(dead)}
    name = f"{settings.kafka.group_id}-dead-letters-replay"
    return {
        f"READ on topic {questions}": read(questions),
        f"WRITE on topic {questions}": write(questions),
        f"READ on topic {dead}": read(dead),
        f"WRITE on transactional id {name}": write_transactional_id(name),
    }


@pytest.mark.parametrize("command", [ask, list_letters, replay_letters])
async def test_a_command_needs_what_is_listed_and_names_what_is_missing(
    kafka: Secured, command: Command, running: Running
) -> None:
    everybody = Topics(kafka.kafka.bootstrap_servers)
    await everybody.create()
    mine = Topics(everybody.servers, {**everybody.environment, **kafka.sasl()})
    rights = _rights(command, mine.settings)
    await grant(mine.servers, list(rights.values()))
    async with AsyncExitStack() as stack:
        if command is ask:
            await stack.enter_async_context(running(everybody.settings, StubReader()))
        else:
            await post(everybody, letter(everybody))

        await command(mine)

        for name, right in rights.items():
            await take_away(mine.servers, right)
            with pytest.raises(StreamingError) as refused:
                async with asyncio.timeout(15):
                    await command(mine)
            assert str(refused.value).startswith(f"User:{USER} lacks {name};")
            await grant(mine.servers, [right])


async def test_topics_are_made_with_the_right_to_and_seen_with_another(kafka: Secured) -> None:
    mine = Topics(kafka.kafka.bootstrap_servers, kafka.sasl())
    qa = mine.settings.qa
    questions, answers, dead = names = (
        qa.questions_topic,
        qa.answers_topic,
        qa.dead_letters_topic,
    )
    await grant(mine.servers, [create(questions), create(answers)])
    with pytest.raises(StreamingError, match=f"User:{USER} lacks CREATE on topic {dead};"):
        await mine.create()
    await grant(mine.servers, [create(dead)])
    await mine.create()
    assert not any(topic.partitions for topic in await describe_topics(mine.settings))
    await grant(mine.servers, [describe(name) for name in names])
    assert all(topic.partitions for topic in await describe_topics(mine.settings))
