"""Writes dead letters as a worker does, and runs replays."""

import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.rejection import REPLAY_OF, Header, Reason, Rejected
from tests.streaming.topics import Topics
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.dead_letters.replay import Replay
from worker.dead_letters.transaction import ReplayResult
from worker.kafka.records import InputRecord, OutputRecord
from worker.streaming.codec import encode_dead_letter, shrink_dead_letter

NOW = round(time.time() * 1000) - 60_000
"""A minute ago, in milliseconds: brokers reject future timestamps and delete old records."""


def dead_letter(
    topics: Topics,
    value: bytes | None = b"v",
    *,
    key: bytes | None = b"k",
    reason: Reason = Reason.SCHEMA,
    question: tuple[int, int] = (0, 0),
    headers: Sequence[Header] = (),
    shrunk: int = 0,
    topic: str | None = None,
) -> OutputRecord:
    """The dead letter of a question; `shrunk` times because the topic did not take it."""
    qa = topics.settings.qa
    record = InputRecord(topic or qa.questions_topic, *question, key, value, headers)
    made = encode_dead_letter(record, Rejected(reason, f"it is {reason}"), qa.dead_letters_topic)
    for _ in range(shrunk):
        smaller = shrink_dead_letter(record, made)
        assert smaller is not None
        made = smaller
    return made


# aiokafka asserts that a record has a key or a value; a dead letter may have neither. The assertion
# runs before the value is serialized.
_NULL_VALUE = object()


async def post(
    topics: Topics, *dead_letters: OutputRecord, partition: int = 0, timestamps: Sequence[int] = ()
) -> None:
    """Publish them to one partition of the dead-letter topic."""
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers,
        value_serializer=lambda value: None if value is _NULL_VALUE else value,
        max_request_size=16 * 2**20,
    ) as producer:
        for number, each in enumerate(dead_letters):
            await producer.send_and_wait(
                each.topic,
                _NULL_VALUE if each.value is None else each.value,
                key=each.key,
                headers=list(each.headers),
                partition=partition,
                timestamp_ms=timestamps[number] if timestamps else None,
            )


async def replay(
    topics: Topics,
    wanted: DeadLetterFilter | None = None,
    *,
    max_attempts: int = 3,
    again: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    settings: Any = None,
) -> list[str]:
    """For each dead letter, its `partition:offset` and its target partition or skip reason."""
    results: list[ReplayResult] = []
    work = Replay(
        settings or topics.settings,
        wanted or DeadLetterFilter(),
        max_attempts=max_attempts,
        again=again,
        limit=limit,
    )
    await (work.dry_run if dry_run else work.run)(results.append, lambda *_: None)
    return [
        f"{result.dead_letter.position.partition}:{result.dead_letter.position.offset} "
        f"{result.skip or f'to {_target(topics, result)}'}"
        for result in results
    ]


def _target(topics: Topics, result: ReplayResult) -> str:
    """The partition; with its topic, unless that is the first questions topic."""
    assert result.target is not None
    first = result.target.topic == topics.settings.qa.questions_topic
    return f"{'' if first else f'{result.target.topic} '}{result.target.partition}"


async def questions(topics: Topics) -> list[Any]:
    return await topics.records(topics.settings.qa.questions_topic)


async def replays(topics: Topics) -> list[str]:
    """The positions of dead letters whose replays are in the questions topic."""
    return [
        text.decode()
        for record in await questions(topics)
        for name, text in record.headers
        if name == REPLAY_OF
    ]
