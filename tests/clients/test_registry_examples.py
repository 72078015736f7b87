"""Apicurio's serializers for Java from Maven Central, which write what Confluent's do, against a
running worker.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from schemas import Answer
from schemas.generate.files import PUBLISHED
from tests.brokers.protocol import Broker
from tests.clients.maven import java
from tests.clients.registry_topics import registry_topics
from tests.clients.test_examples import CONTEXT, run
from tests.streaming.topics import Topics

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.process,
    pytest.mark.tools,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(apache_kafka: Broker, registry_url: str) -> AsyncIterator[Topics]:
    servers = apache_kafka.bootstrap_servers
    async with registry_topics(servers, registry_url, "avro") as topics:
        yield topics


async def test_the_java_example_asks_and_reads_in_avro(java_projects: Path, topics: Topics) -> None:
    ask = java(java_projects / "java-registry", "AskWithRegistry", str(PUBLISHED / "question.avsc"))

    result = await run([*ask, "Who wrote the report?", CONTEXT], topics)

    assert result.code == 0, result
    answer = Answer.model_validate(json.loads(result.out))
    assert answer.answer == "Anna Lindqvist"
    (record,) = await topics.answers()
    assert record.value[0] == 0
