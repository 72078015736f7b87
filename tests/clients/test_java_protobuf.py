"""Protobuf from Java: Apicurio's serializer asks with a class that protoc generated, and its
deserializer reads the answer with the class of the published schema.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.generate.files import PUBLISHED
from tests.brokers.protocol import Broker
from tests.clients.maven import build, java
from tests.clients.registry_topics import registry_topics
from tests.clients.test_examples import CONTEXT, TIMEOUT_SECONDS, run
from tests.streaming.topics import Topics
from worker.schema_registry.client import RegistryClient

PROJECT = Path(__file__).with_name("java")
ENVELOPE = PROJECT / "src" / "main" / "proto" / "envelope.proto"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.process,
    pytest.mark.tools,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(apache_kafka: Broker, registry_url: str) -> AsyncIterator[Topics]:
    servers = apache_kafka.bootstrap_servers
    async with registry_topics(servers, registry_url, "protobuf") as topics:
        yield topics


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Builds the program with Maven, which fetches protoc and generates the classes."""
    directory = tmp_path_factory.mktemp("java")
    return build(PROJECT, directory, protos=PUBLISHED.glob("*.proto"))


async def test_java_asks_with_a_nested_message_and_reads(
    class_path: str, topics: Topics, registry_url: str
) -> None:
    program = java(class_path, "AskInProtobuf", "Who wrote the report?", CONTEXT)
    subject = f"{topics.settings.qa.questions_topic}-as-text"
    async with RegistryClient((registry_url,), timeout_seconds=TIMEOUT_SECONDS) as client:
        await client.register(subject, "PROTOBUF", ENVELOPE.read_text("utf-8"))

    for arguments in ([], [subject]):
        result = await run([*program, *arguments], topics)

        assert result.code == 0, result
        answer = json.loads(result.out)
        assert answer["answer"] == "Anna Lindqvist"
        assert answer["metadata"] == {"tenant": "a"}
    questions = await topics.records(topics.settings.qa.questions_topic)
    # Two indexes: 1, Envelope, and that of Ask. The text that the serializer registers has the map
    # as a message, which counts; where the registered text has `map`, it does not count.
    assert [record.value[5:8] for record in questions] == [
        bytes([2 << 1, 1 << 1, 1 << 1]),
        bytes([2 << 1, 1 << 1, 0 << 1]),
    ]
