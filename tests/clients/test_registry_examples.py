"""Apicurio's serializers for Java from Maven Central, which write what Confluent's do, against a
running worker.
"""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from schemas import Answer
from schemas.generate.files import PUBLISHED
from tests.brokers.apache import ApacheKafka
from tests.clients.test_examples import CONTEXT, EXAMPLES, TIMEOUT_SECONDS, run
from tests.streaming.topics import Topics
from tests.tools import tool

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.process,
    pytest.mark.tools,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(apache_kafka: ApacheKafka, registry_url: str) -> AsyncIterator[Topics]:
    environment = {
        "SCHEMA_REGISTRY_URL": registry_url,
        "APICURIO_REGISTRY_URL": registry_url.replace("/ccompat/v7", "/registry/v3"),
        "QA_ANSWER_FORMAT": "avro",
        "QA_REGISTER_SCHEMAS": "true",
    }
    async with Topics(apache_kafka.bootstrap_servers, environment) as topics:
        await topics.create()
        yield topics


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Builds the example with Maven, which also fetches Apicurio's serializer."""
    project = tmp_path_factory.mktemp("java-registry") / "ask"
    shutil.copytree(EXAMPLES / "java-registry", project, ignore=shutil.ignore_patterns("target"))
    maven = subprocess.run(
        [tool("mvn"), "-q", "-B", "-f", str(project), "compile"],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * TIMEOUT_SECONDS,
    )
    assert maven.returncode == 0, maven.stdout
    target = project / "target"
    return os.pathsep.join([str(target / "classes"), str(target / "dependency" / "*")])


async def test_the_java_example_asks_and_reads_in_avro(class_path: str, topics: Topics) -> None:
    ask = [tool("java"), "-cp", class_path, "AskWithRegistry", str(PUBLISHED / "question.avsc")]

    result = await run([*ask, "Who wrote the report?", CONTEXT], topics)

    assert result.code == 0, result
    answer = Answer.model_validate(json.loads(result.out))
    assert answer.answer == "Anna Lindqvist"
    (record,) = await topics.answers()
    assert record.value[0] == 0
