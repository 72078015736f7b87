"""QuestionClient reads answers in every format; the test writes them as a worker does."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict

import pytest
from aiokafka import AIOKafkaProducer

from schemas.answer import Source
from schemas.generate.avro_schemas import avro_schema
from schemas.generate.proto_files import proto_files
from schemas.generate.samples import ANSWER
from schemas.rejection import Header
from tests.brokers.protocol import Broker
from tests.schema_registry.registry_server import RegistryServer, registry_server
from tests.streaming.topics import Topics
from worker.client import QuestionClient
from worker.kafka.records import RecordPosition
from worker.schema_registry.encoding import avro_encoder, protobuf_encoder
from worker.schema_registry.framing import frame_prefix

AVRO = json.dumps(avro_schema(type(ANSWER)))
PROTO = proto_files()["answer"]


@pytest.fixture
async def registry() -> AsyncIterator[RegistryServer]:
    async with registry_server() as registry:
        for number, kind, text in (
            (1, "AVRO", AVRO),
            (2, "PROTOBUF", PROTO),
            (3, "JSON", "{}"),
        ):
            answer = {"schemaType": kind, "schema": text}
            registry.answers[f"GET /schemas/ids/{number}"] = 200, answer
        yield registry


@pytest.fixture
async def topics(broker: Broker) -> AsyncIterator[Topics]:
    async with Topics(broker.bootstrap_servers) as topics:
        await topics.create()
        yield topics


def record(kind: str, question: RecordPosition) -> tuple[bytes, list[Header]]:
    """Value and headers of an answer to the question; no field differs from its default."""
    answer = ANSWER.model_copy(
        update={
            "answer": "",
            "start": 0,
            "end": 0,
            "source": Source(**asdict(question)),
            "metadata": {"tenant": "7"},
        }
    )
    match kind:
        case "avro":
            return frame_prefix(1) + avro_encoder(AVRO)(answer), []
        case "avro in header":
            return avro_encoder(AVRO)(answer), [("__value_schema_id", frame_prefix(1))]
        case "protobuf":
            body = protobuf_encoder(PROTO)(answer)
            return frame_prefix(2, (0,)) + body, []
        case "json_schema":
            return frame_prefix(3) + answer.model_dump_json().encode(), []
    return answer.model_dump_json().encode(), []


@pytest.mark.parametrize("kind", ["json", "json_schema", "avro", "avro in header", "protobuf"])
async def test_an_answer_is_read_in_its_format(
    topics: Topics, registry: RegistryServer, kind: str
) -> None:
    settings = topics.with_(SCHEMA_REGISTRY_URL=registry.url)
    async with (
        QuestionClient.open(settings) as client,
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
    ):
        question = await client.send(b"{}")
        # Another's, which cannot be decoded.
        await producer.send_and_wait(settings.qa.answers_topic, b"\0\0\0\0\1\x80")
        await producer.send_and_wait(settings.qa.answers_topic, b"\0\0\0\0\x09")
        value, headers = record(kind, question)
        await producer.send_and_wait(settings.qa.answers_topic, value, headers=headers)
        result = await client.wait_for_result(question, timeout_seconds=10)
    answer = json.loads(result.value or b"")
    assert (answer["answer"], answer["start"], answer["windows"]) == ("", 0, ANSWER.windows)
    assert answer["source"] == asdict(question)
    assert answer["metadata"] == {"tenant": "7"}
    assert type(ANSWER).model_validate(answer)


async def test_an_answer_waits_for_the_registry(topics: Topics, registry: RegistryServer) -> None:
    settings = topics.with_(SCHEMA_REGISTRY_URL=registry.url)
    present = registry.answers.pop("GET /schemas/ids/1")
    registry.answers["GET /schemas/ids/1"] = 503, "away"
    async with (
        QuestionClient.open(settings) as client,
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
    ):
        question = await client.send(b"{}")
        value, _ = record("avro", question)
        await producer.send_and_wait(settings.qa.answers_topic, value)
        with pytest.raises(TimeoutError):
            await client.wait_for_result(question, timeout_seconds=0.5)
        assert client.unread == f"{registry.url} answers 503"
        registry.answers["GET /schemas/ids/1"] = present
        result = await client.wait_for_result(question, timeout_seconds=10)
    assert json.loads(result.value or b"")["source"] == asdict(question)


async def test_without_a_registry_an_answer_in_avro_names_the_setting(topics: Topics) -> None:
    async with (
        QuestionClient.open(topics.settings) as client,
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
    ):
        question = await client.send(b"{}")
        value, _ = record("avro", question)
        await producer.send_and_wait(topics.settings.qa.answers_topic, value)
        value, _ = record("json", question)
        await producer.send_and_wait(topics.settings.qa.answers_topic, value)
        result = await client.wait_for_result(question, timeout_seconds=10)
    assert result.value == value
    assert client.unread == ("it names the schema with id 1, and SCHEMA_REGISTRY_URL is not set")
