"""The published schemas in Apicurio Registry, under its rule BACKWARD."""

import json
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from schemas import Answer
from schemas.generate import samples
from schemas.generate.files import PUBLISHED
from tests.schemas.record import VERSIONS
from tests.schemas.registry_versions import schema_of
from worker.kafka.errors import StreamingError
from worker.observability.health import Health
from worker.schema_registry.answer_format import find_answer_format
from worker.schema_registry.answer_schema import PublishedSchema, answer_schema
from worker.schema_registry.client import RegistryClient
from worker.settings import Settings
from worker.settings.environment import load

ENDS = {"AVRO": ".avsc", "JSON": ".registry.json", "PROTOBUF": ".proto"}
FORMATS = {"AVRO": "avro", "JSON": "json_schema", "PROTOBUF": "protobuf"}

each_kind = pytest.mark.parametrize("kind", ENDS)


@pytest.fixture
async def client(registry_url: str) -> AsyncIterator[RegistryClient]:
    async with RegistryClient((registry_url,), timeout_seconds=30) as client:
        yield client


@pytest.fixture
def topic() -> str:
    return f"answers-{uuid.uuid4().hex}"


def health() -> Health:
    return Health(time.monotonic, stall_after=3600, contact_after=20)


def settings(registry_url: str, kind: str, topic: str, **environment: str) -> Settings:
    return load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
            "SCHEMA_REGISTRY_URL": registry_url,
            "QA_ANSWERS_TOPIC": topic,
            "QA_ANSWER_FORMAT": FORMATS[kind],
            **environment,
        }
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, end in ENDS.items()
        for name in ("question", "text", "answer", "embedding")
        if (PUBLISHED / f"{name}{end}").exists()
    ],
)
async def test_the_registry_takes_each_version_behind_the_one_before_it(
    client: RegistryClient, topic: str, kind: str, name: str
) -> None:
    texts = [
        schema_of(version, name, ENDS[kind])
        for version in sorted(VERSIONS.iterdir())
        if (version / f"{name}.schema.json").exists()
    ]
    assert texts[-1] == (PUBLISHED / f"{name}{ENDS[kind]}").read_text()
    for text in texts:
        schema_id = await client.register(f"{topic}-value", kind, text)
        assert await client.find(f"{topic}-value", kind, text) == schema_id


BREAKING = {
    "AVRO": (
        '{"type":"record","name":"Answer","namespace":"qa_worker",'
        '"fields":[{"name":"language","type":"string"}]}'
    ),
    "JSON": json.dumps(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"id": {"type": "integer"}},
            "required": ["language"],
        }
    ),
    "PROTOBUF": 'syntax = "proto3";\npackage qa_worker;\nmessage Answer { int64 id = 1; }\n',
}


@each_kind
async def test_the_registry_refuses_our_schema_behind_an_incompatible_one(
    client: RegistryClient, registry_url: str, topic: str, kind: str
) -> None:
    await client.register(f"{topic}-value", kind, BREAKING[kind])
    given = settings(registry_url, kind, topic, QA_REGISTER_SCHEMAS="true")
    with pytest.raises(StreamingError) as error:
        await find_answer_format(given, Answer, health())
    file = answer_schema(given, Answer).file
    assert str(error.value).startswith(
        f"the schema registry refuses {file} under the subject {topic}-value: "
    )
    assert "\n" not in str(error.value)
    print(error.value)


@each_kind
async def test_a_registered_schema_is_found_however_a_tool_has_written_it(
    client: RegistryClient, registry_url: str, topic: str, kind: str
) -> None:
    given = settings(registry_url, kind, topic)
    schema = answer_schema(given, Answer)
    with pytest.raises(StreamingError, match="QA_REGISTER_SCHEMAS=true"):
        await find_answer_format(given, Answer, health())
    schema_id = await client.register(schema.subject, kind, other_layout(schema))
    found = await find_answer_format(given, Answer, health())
    assert found.encode(samples.ANSWER)[1:5] == schema_id.to_bytes(4, "big")


def other_layout(schema: PublishedSchema) -> str:
    """The same schema with other white space."""
    if schema.kind == "PROTOBUF":
        return schema.text.replace("  ", "\t")
    return json.dumps(json.loads(schema.text))


@pytest.mark.parametrize("register", ["true", "false"])
async def test_a_subject_with_schemas_of_another_type_ends_the_start(
    client: RegistryClient, registry_url: str, topic: str, register: str
) -> None:
    await client.register(f"{topic}-value", "AVRO", (PUBLISHED / "answer.avsc").read_text())
    environment = settings(registry_url, "PROTOBUF", topic, QA_REGISTER_SCHEMAS=register)
    with pytest.raises(StreamingError) as error:
        await find_answer_format(environment, Answer, health())
    assert str(error.value) == (
        f"the schema registry refuses answer.proto under the subject {topic}-value: it has schemas "
        f"of the type AVRO, not PROTOBUF; use another topic, or delete the subject"
    )
