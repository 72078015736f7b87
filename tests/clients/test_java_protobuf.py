"""Protobuf from Java: Apicurio's serializer asks with a class that protoc generated, and its
deserializer reads the answer with the class of the published schema.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.brokers.protocol import Broker
from tests.clients.maven import PROJECTS, java
from tests.clients.registry_topics import registry_topics
from tests.clients.test_examples import CONTEXT, TIMEOUT_SECONDS, run
from tests.streaming.topics import Topics
from worker.schema_registry.client import RegistryClient

ENVELOPE = PROJECTS["protobuf"] / "src" / "main" / "proto" / "envelope.proto"

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


async def test_java_asks_with_a_nested_message_and_reads(
    java_projects: Path, topics: Topics, registry_url: str
) -> None:
    subject = f"{topics.settings.qa.questions_topic}-as-text"
    async with RegistryClient((registry_url,), timeout_seconds=TIMEOUT_SECONDS) as client:
        await client.register(subject, "PROTOBUF", ENVELOPE.read_text("utf-8"))

    question = "Who wrote the report?"
    program = java(java_projects / "protobuf", "AskInProtobuf", question, CONTEXT, subject)
    result = await run(program, topics)

    assert result.code == 0, result
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert len(answers) == 2
    for answer in answers:
        assert answer["answer"] == "Anna Lindqvist"
        assert answer["metadata"] == {"tenant": "a"}
    questions = await topics.records(topics.settings.qa.questions_topic)
    # Two indexes: 1, Envelope, and that of Ask. The text that the serializer registers has the map
    # as a message, which counts; where the registered text has `map`, it does not count.
    assert [record.value[5:8] for record in questions] == [
        bytes([2 << 1, 1 << 1, 1 << 1]),
        bytes([2 << 1, 1 << 1, 0 << 1]),
    ]
