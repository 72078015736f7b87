"""Answers in the registry's formats, on a broker: Confluent's deserializers read them."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import json_format

from schemas import Answer, Embedding, Outcome
from schemas.generate.files import PUBLISHED
from tests.inference.bundles import write_bundle
from tests.inference.embeddings import DIMS, expected, write_embedding_bundle
from tests.schema_registry.keeping_registry import FIRST_ID, KeepingRegistry, keeping_registry
from tests.streaming.conftest import Running, RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import TIMEOUT_SECONDS, Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.kafka.errors import StreamingError
from worker.models.manifest import Pooling
from worker.schema_registry.protobuf import message_classes

each_format = pytest.mark.parametrize("answer_format", ["avro", "json_schema", "protobuf"])


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def registry() -> AsyncIterator[KeepingRegistry]:
    async with keeping_registry() as registry:
        yield registry


def deserialize(
    registry: KeepingRegistry, answer_format: str, record: Any, outcome_type: type[Outcome] = Answer
) -> Any:
    """The record's value as Confluent's deserializer reads it. Blocks."""
    context = SerializationContext(record.topic, MessageField.VALUE, list(record.headers))
    with SchemaRegistryClient({"url": registry.url}) as client:
        if answer_format == "avro":
            return AvroDeserializer(client)(record.value, context)
        if answer_format == "json_schema":
            return JSONDeserializer(None, schema_registry_client=client)(record.value, context)
        file = PUBLISHED / f"{outcome_type.__name__.lower()}.proto"
        (message_class,) = message_classes(file.read_text())
        message = ProtobufDeserializer(message_class, {}, client)(record.value, context)
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


@each_format
async def test_confluents_deserializers_read_the_answers(
    topics: Topics, running: Running, registry: KeepingRegistry, answer_format: str
) -> None:
    json_answer, answer = await answers_to_one_question(
        topics, running, registry, answer_format, []
    )
    assert answer.value[:5] == b"\0" + FIRST_ID.to_bytes(4, "big")
    assert "content-type" not in dict(answer.headers)
    assert answer.key == json_answer.key == b"key-1"
    back = await asyncio.to_thread(deserialize, registry, answer_format, answer)
    if answer_format == "avro":
        assert back["metadata"] == {"tenant": "a", "page": "3", "tags": '["x"]'}
        back["metadata"] = {"tenant": "a", "page": 3, "tags": ["x"]}
    assert without_offset(Answer.model_validate(back)) == without_offset(
        Answer.model_validate_json(json_answer.value)
    )
    assert list(registry.subjects) == [f"{topics.settings.qa.answers_topic}-value"]


@each_format
async def test_cloudevents_get_answers_in_binary_mode(
    topics: Topics, running: Running, registry: KeepingRegistry, answer_format: str
) -> None:
    structured = [("content-type", b"application/cloudevents+json"), ("correlation-id", b"c-1")]
    json_answer, answer = await answers_to_one_question(
        topics, running, registry, answer_format, structured
    )
    assert dict(answer.headers) == {
        "correlation-id": b"c-1",
        "ce_specversion": b"1.0",
        "ce_id": b"q-1",
        "ce_source": f"/qa-worker/{topics.settings.qa.questions_topic}".encode(),
        "ce_type": b"qa.answer",
    }
    assert json.loads(json_answer.value)["specversion"] == "1.0"
    assert answer.value[:5] == b"\0" + FIRST_ID.to_bytes(4, "big")


async def answers_to_one_question(
    topics: Topics,
    running: Running,
    registry: KeepingRegistry,
    answer_format: str,
    headers: list[tuple[str, bytes]],
) -> tuple[Any, Any]:
    """The records of two answers: in JSON, and in the format."""
    metadata = {"tenant": "a", "page": 3, "tags": ["x"]}
    question = event(1, metadata=metadata)
    if headers:
        attributes = {"specversion": "1.0", "id": "e-1", "source": "/wiki", "type": "question"}
        question = json.dumps({**attributes, "data": json.loads(question)}).encode()
    registered = topics.with_(
        SCHEMA_REGISTRY_URL=registry.url,
        QA_ANSWER_FORMAT=answer_format,
        QA_REGISTER_SCHEMAS="true",
    )
    for number, settings in enumerate((topics.settings, registered), 1):
        await topics.send([question], partition=0, key=b"key-1", headers=headers)
        async with running(settings, StubEngine()):
            await until(partial(topics.has, number), "the answer")
    first, second = await topics.answers()
    return first, second


def without_offset(answer: Answer) -> Answer:
    assert answer.source is not None
    return answer.model_copy(update={"source": answer.source.model_copy(update={"offset": 0})})


async def test_a_question_that_the_format_cannot_answer_becomes_a_dead_letter(
    topics: Topics, running: Running, registry: KeepingRegistry
) -> None:
    deep: Any = {}
    for _ in range(40):
        deep = {"inner": deep}
    await topics.send([event(0, metadata=deep), event(1)], partition=0)
    settings = topics.with_(
        SCHEMA_REGISTRY_URL=registry.url, QA_ANSWER_FORMAT="protobuf", QA_REGISTER_SCHEMAS="true"
    )
    async with running(settings, StubEngine()):
        await topics.committed_are({0: 2, 1: 0})
    (dead_letter,) = await topics.dead_letters()
    assert dict(dead_letter.headers)["qa.reason"] == b"answer_not_encodable"
    assert dead_letter.value == event(0, metadata=deep)
    assert len(await topics.answers()) == 1


async def test_a_registry_without_the_schema_ends_the_worker_at_its_start(
    topics: Topics, registry: KeepingRegistry, running: Running
) -> None:
    await topics.send([event(0)], partition=0)
    settings = topics.with_(SCHEMA_REGISTRY_URL=registry.url, QA_ANSWER_FORMAT="avro")
    with pytest.raises(StreamingError, match=r"does not have schemas/published/answer\.avsc"):
        async with running(settings, StubEngine()):
            pass
    assert await topics.answers() == []


async def test_a_worker_that_waits_for_the_registry_at_its_start_stops_when_it_is_told_to(
    topics: Topics, registry: KeepingRegistry
) -> None:
    registry.is_away = True
    settings = topics.with_(SCHEMA_REGISTRY_URL=registry.url, QA_ANSWER_FORMAT="avro")
    worker = RunningWorker(settings, StubEngine())
    look_up = f"POST /subjects/{settings.qa.answers_topic}-value"
    await until(lambda: look_up in registry.requests, "the worker asks for the schema")
    worker.stop.set()
    await asyncio.wait_for(worker.task, TIMEOUT_SECONDS)
    assert await topics.answers() == []


@pytest.mark.process
@pytest.mark.parametrize("answer_format", ["avro", "json_schema", "protobuf"])
async def test_embeddings_have_a_schema_too(
    topics: Topics, registry: KeepingRegistry, tmp_path: Path, answer_format: str
) -> None:
    bundle = write_embedding_bundle(tmp_path / "tiny", Pooling(normalize=True))
    environment = {
        **topics.environment,
        "QA_MODEL": str(bundle),
        "SCHEMA_REGISTRY_URL": registry.url,
        "QA_ANSWER_FORMAT": answer_format,
        "QA_REGISTER_SCHEMAS": "true",
    }
    await topics.send([json.dumps({"id": "t-1", "text": "answer a b"}).encode()])
    async with WorkerProcess(environment):
        await until(lambda: topics.has(1), "the embedding")
    (record,) = await topics.answers()
    back = await asyncio.to_thread(deserialize, registry, answer_format, record, Embedding)
    embedding = Embedding.model_validate(back)
    assert (embedding.id, embedding.dims) == ("t-1", DIMS)
    assert np.allclose(embedding.embedding, expected(["answer", "a", "b"], Pooling(normalize=True)))


@pytest.mark.process
async def test_a_worker_whose_schema_is_missing_exits_with_one_line(
    topics: Topics, registry: KeepingRegistry, tmp_path: Path
) -> None:
    environment = {
        **topics.environment,
        "QA_MODEL": str(write_bundle(tmp_path / "tiny")),
        "QA_MAX_QUESTION_TOKENS": "16",
        "SCHEMA_REGISTRY_URL": registry.url,
        "QA_ANSWER_FORMAT": "avro",
    }
    worker = WorkerProcess(environment)
    assert await worker.ended() == 1
    *_, line = worker.output.splitlines()
    assert line == (
        f"qa-worker: the schema registry does not have schemas/published/answer.avsc under the "
        f"subject {topics.settings.qa.answers_topic}-value: register it (`qa-worker schemas "
        f"register`), or set QA_REGISTER_SCHEMAS=true"
    )
    assert "Traceback" not in worker.output
