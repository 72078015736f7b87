"""The guide's examples with a schema registry, through Apache Kafka, Apicurio and a worker."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.brokers.apache import ApacheKafka
from tests.clients.test_examples import CONTEXT, EXAMPLES, run
from tests.schemas.valid import faults, published
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.process, pytest.mark.tools]

QUESTION = "Who wrote the report?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(apache_kafka: ApacheKafka, registry_url: str) -> AsyncIterator[Topics]:
    environment = {
        "SCHEMA_REGISTRY_URL": registry_url,
        "QA_ANSWER_FORMAT": "avro",
        "QA_REGISTER_SCHEMAS": "true",
    }
    async with Topics(apache_kafka.bootstrap_servers, environment) as topics:
        await topics.create()
        yield topics


def ask_avro(*texts: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / "confluent" / "ask_avro.py"), *texts]


async def test_avro_example_asks_and_prints_the_answer(topics: Topics) -> None:
    result = await run(ask_avro(QUESTION, CONTEXT), topics)
    assert result.code == 0, result
    answer = json.loads(result.out)
    assert (answer["answer"], answer["answered"]) == ("Anna Lindqvist", True)
    assert faults(published("answer"), answer) == []
    result = await run(ask_avro(QUESTION, "It rained.", CONTEXT), topics)
    assert json.loads(result.out)["context_index"] == 1


async def test_avro_example_prints_the_rejection(topics: Topics) -> None:
    result = await run(ask_avro(" ", CONTEXT), topics)
    assert result.code != 0
    assert "rejected: schema: question: is blank" in result.err


async def test_records_of_a_foreign_schema_are_answered(
    apache_kafka: ApacheKafka, registry_url: str
) -> None:
    program = (EXAMPLES / "confluent" / "send_tickets.py").read_text()
    (fields,) = [line for line in program.splitlines() if line.startswith("QA_FIELDS=")]
    environment = {
        "SCHEMA_REGISTRY_URL": registry_url,
        "QA_FIELDS": fields.removeprefix("QA_FIELDS=").partition(";")[0],
    }
    async with Topics(apache_kafka.bootstrap_servers, environment) as tickets:
        await tickets.create()
        command = [sys.executable, str(Path(EXAMPLES, "confluent", "send_tickets.py"))]
        result = await run([*command, QUESTION, CONTEXT], tickets)
        assert result.code == 0, result
        async with WorkerProcess(tickets.environment):
            await until(lambda: tickets.has(1), "the answer")
        (record,) = await tickets.answers()
    answer = json.loads(record.value)
    assert (answer["id"], answer["answer"]) == ("T-1", "Anna Lindqvist")
    assert answer["metadata"] == {"team": "billing"}
