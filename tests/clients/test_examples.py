"""The integration guide's example programs and the CloudEvents SDK, against a running worker."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from tests.brokers.protocol import Broker
from tests.clients.maven import EXAMPLES, java
from tests.inference.texts import cut
from tests.schemas.valid import faults, published
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess
from tests.tools import tool

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.process]

CONTEXT = 'The 🌉 report on the "bridge" \\ 橋 was written by Anna Lindqvist in 2019.'
TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """Exit code and output of a program."""

    code: int
    out: str
    err: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(apache_kafka: Broker) -> AsyncIterator[Topics]:
    async with Topics(apache_kafka.bootstrap_servers, {"QA_LOG_LEVEL": "debug"}) as topics:
        await topics.create()
        yield topics


@pytest.fixture(params=["python", "kcat", "java"])
def ask(request: pytest.FixtureRequest) -> Callable[..., list[str]]:
    """A function that takes question and context and returns the example's command line."""
    if request.param == "python":
        return lambda *texts: [sys.executable, str(EXAMPLES / "python" / "ask.py"), *texts]
    if request.param == "kcat":
        tool("kcat")
        tool("jq")
        return lambda *texts: [str(EXAMPLES / "kcat" / "ask.sh"), *texts]
    project: Path = request.getfixturevalue("java_projects") / "java"
    return lambda *texts: java(project, "Ask", *texts)


async def run(command: list[str], topics: Topics) -> ProgramResult:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "LC_ALL": "C.UTF-8", **topics.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return ProgramResult(process.returncode, out.decode(), err.decode())


@pytest.mark.tools
async def test_example_asks_and_prints_the_answer(
    ask: Callable[..., list[str]], topics: Topics
) -> None:
    result = await run(ask("Who wrote the report?", CONTEXT), topics)
    assert result.code == 0, result
    answer = json.loads(result.out)
    assert (answer["answer"], answer["answered"]) == ("Anna Lindqvist", True)
    assert answer["offsets"] == ("utf16" if "java" in ask("", "")[0] else "code_points")
    assert cut(CONTEXT, answer["start"], answer["end"], answer["offsets"]) == answer["answer"]
    assert faults(published("answer"), answer) == []
    position = (answer["source"]["partition"], answer["source"]["offset"])
    questions = await topics.records(topics.settings.qa.questions_topic)
    (question,) = [record for record in questions if (record.partition, record.offset) == position]
    assert question.key == b"example"
    answers = await topics.answers()
    (answer_record,) = [record for record in answers if json.loads(record.value) == answer]
    assert answer_record.key == b"example"
    correlation_id = dict(question.headers)["correlation-id"]
    assert dict(answer_record.headers)["correlation-id"] == correlation_id


async def test_python_example_asks_with_passages(topics: Topics) -> None:
    program = str(EXAMPLES / "python" / "ask.py")
    passages = ["It rained.", CONTEXT, "Nothing else."]
    result = await run([sys.executable, program, "Who wrote the report?", *passages], topics)
    assert result.code == 0, result
    answer = json.loads(result.out)
    assert (answer["answer"], answer["context_index"]) == ("Anna Lindqvist", 1)
    assert faults(published("answer"), answer) == []


@pytest.mark.tools
async def test_example_prints_the_rejection(ask: Callable[..., list[str]], topics: Topics) -> None:
    result = await run(ask(" ", CONTEXT), topics)
    assert result.code != 0
    assert "rejected: schema: question: is blank" in result.out + result.err


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
async def test_cloudevents_sdk_asks_and_decodes_the_answer(
    write: Callable[[CloudEvent], KafkaMessage], topics: Topics
) -> None:
    key = write.__name__
    question = CloudEvent(
        {
            "id": key,
            "source": "/wiki",
            "type": "qa.question",
            "partitionkey": key,
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
        {"question": "Who wrote the report?", "context": CONTEXT, "tenant": 7},
    )
    message = write(question)
    assert message.key == key
    await topics.send([message.value], key=key.encode(), headers=list(message.headers.items()))
    answers: list[Any] = []

    async def answered() -> bool:
        answers[:] = [record for record in await topics.answers() if record.key == key.encode()]
        return bool(answers)

    await until(answered, "the answer")
    (record,) = answers
    answer = from_kafka_event(KafkaMessage(dict(record.headers), record.key, record.value))
    assert (answer.get_id(), answer.get_type()) == (key, "qa.answer")
    assert answer.get_source() == f"/qa-worker/{topics.settings.qa.questions_topic}"
    assert answer.get_extension("traceparent") == question.get_extension("traceparent")
    data = answer.get_data()
    assert isinstance(data, dict)
    assert data["answer"] == "Anna Lindqvist"
    assert faults(published("answer"), data) == []
    # The answer has the content mode of the question.
    assert ("ce_id" in dict(record.headers)) == ("ce_id" in message.headers)


async def test_unknown_fields_are_logged_at_debug(worker: WorkerProcess, topics: Topics) -> None:
    fields = [f"own{number}" for number in range(30)]
    document = {"id": "many", "question": "Who?", "context": "Ada.", **dict.fromkeys(fields, 1)}
    await topics.send([json.dumps(document).encode()])

    async def answered() -> bool:
        return "many" in [json.loads(record.value).get("id") for record in await topics.answers()]

    await until(answered, "the answer")
    (logged,) = [event for event in worker.events("unknown_fields") if event["id"] == "many"]
    assert (logged["level"], logged["fields"]) == ("debug", fields[:20])
