"""`qa-worker answers compare` on a topic of answers in Avro."""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.answer import Answer
from schemas.generate.avro_schemas import avro_schema
from tests.answers.events import answer_event, write_lines
from tests.cli.conftest import Command
from tests.schema_registry.threaded_registry import threaded_registry
from tests.streaming.topics import Topics
from worker.schema_registry.encoding import avro_encoder
from worker.schema_registry.framing import frame_prefix

AVRO = json.dumps(avro_schema(Answer))


async def publish(topics: Topics, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        for value in values:
            await producer.send_and_wait(topics.settings.qa.answers_topic, value, partition=0)


def sides(topics: Topics, tmp_path: Path) -> tuple[str | Path, ...]:
    """The topic, with one answer in Avro and one value of another schema, against a file."""
    answer = Answer.model_validate(answer_event(1))
    values = frame_prefix(7) + avro_encoder(AVRO)(answer), frame_prefix(8) + b"other"
    asyncio.run(publish(topics, *values))
    file = write_lines(tmp_path / "right.jsonl", [answer_event(1)])
    name = topics.settings.qa.answers_topic
    return "answers", "compare", "--left", name, "--right", file


def test_answers_in_avro_are_compared(
    command: Command, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = sides(topics, tmp_path)
    with threaded_registry() as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        registry.answers["GET /schemas/ids/7"] = 200, {"schema": AVRO}
        document = json.loads(command(*arguments, "--json").out)
        assert (document["pairs"], document["differ"]) == (1, 0)
        assert document["left"]["not_answers"] == 1
        registry.answers["GET /schemas/ids/7"] = 503, "away"
        done = command(*arguments)
    assert (done.code, done.out) == (1, "")
    name = topics.settings.qa.answers_topic
    assert done.err == (f"qa-worker: {name} partition 0 offset 0: {registry.url} answers 503\n")


def test_without_a_registry_the_schemas_are_named(
    command: Command, topics: Topics, tmp_path: Path
) -> None:
    done = command(*sides(topics, tmp_path))
    assert (done.code, done.out) == (1, "")
    assert (
        "2 records that are not answers (partition 0 offset 0: it names the schema with id 7, and "
        "SCHEMA_REGISTRY_URL is not set)"
    ) in done.err
