"""`qa-worker ask --format`: a worker reads the question in each format, and its answer is read in
each format.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.answer import Answer
from tests.cli.conftest import Command
from tests.forked import Done
from tests.schema_registry.keeping_registry import KeepingRegistry, keeping_registry
from tests.schema_registry.threaded_registry import threaded
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess
from worker.schema_registry.framing import read_frame

KINDS = {"avro": "AVRO", "json_schema": "JSON", "protobuf": "PROTOBUF"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeepingRegistry]:
    with threaded(keeping_registry()) as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        yield registry


@pytest.mark.process
@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("json", "avro"),
        ("avro", "protobuf"),
        ("protobuf", "json_schema"),
        ("json_schema", "json"),
    ],
)
def test_a_question_is_asked_and_answered_in_a_format(
    command: Command,
    topics: Topics,
    registry: KeepingRegistry,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    answered: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("c answer", encoding="utf-8")
    monkeypatch.setenv("QA_REGISTER_SCHEMAS", "true")
    environment = {
        **topics.environment,
        "QA_MODEL": str(tiny_model),
        "SCHEMA_REGISTRY_URL": registry.url,
        "QA_REGISTER_SCHEMAS": "true",
        "QA_ANSWER_FORMAT": answered,
    }
    arguments = ("--context", "a b", "--context-file", file, "--format", asked)

    async def run() -> tuple[Done, Done, list[bytes]]:
        async with topics, WorkerProcess(environment):
            table, document = [
                await asyncio.to_thread(command, "ask", "--question", "a", *arguments, *more)
                for more in ((), ("--json",))
            ]
            questions = await topics.records(topics.settings.qa.questions_topic)
            return table, document, [record.value for record in questions]

    table, document, questions = asyncio.run(run())
    assert (table.code, table.err) == (0, "")
    assert "c ▸answer◂" in table.out
    answer = Answer.model_validate_json(document.out)
    assert (answer.answer, answer.context_index, answer.context_id) == ("answer", 1, str(file))
    assert set(json.loads(document.out)) == set(Answer.model_fields)
    for value in questions:
        frame = read_frame(value, ())
        assert (frame is None) == (asked == "json")
        if frame is not None:
            subject = f"{topics.settings.qa.questions_topic}-value"
            assert registry.subjects[subject] == [frame.schema]
            assert registry.schemas[int(str(frame.schema)) - 100_001]["schemaType"] == KINDS[asked]


def test_a_schema_is_registered_only_when_the_setting_says_so(
    command: Command, topics: Topics, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("ask", "--question", "a", "--context", "b", "--format", "avro", "--timeout", "0.1")
    done = command(*arguments)
    assert (done.code, done.out) == (1, "")
    subject = f"{topics.settings.qa.questions_topic}-value"
    assert done.err.startswith(
        f"qa-worker: the schema registry does not have schemas/published/question.avsc under the "
        f"subject {subject}: "
    )
    assert registry.subjects == {}
    monkeypatch.setenv("QA_REGISTER_SCHEMAS", "true")
    assert "no answer within 0.1 s" in command(*arguments).err
    assert list(registry.subjects) == [subject]
    done = command(*arguments, "--top-k", "9" * 30)
    assert done.code == 1
    assert done.err.startswith("qa-worker: avro cannot hold the event: 999")
    registry.is_away = True
    done = command(*arguments)
    assert done.err == f"qa-worker: SCHEMA_REGISTRY_URL: {registry.url} answers 503\n"


def test_a_format_of_the_registry_needs_a_broker_and_a_registry(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("ask", "--question", "a", "--context", "b", "--format")
    done = command(*arguments, "avro")
    assert done.code == 2
    assert "without KAFKA_BOOTSTRAP_SERVERS no record is written" in done.err
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = command(*arguments, "protobuf")
    assert done.code == 2
    assert "protobuf names a schema of the registry; it needs SCHEMA_REGISTRY_URL" in done.err
    done = command(*arguments, "xml")
    assert done.code == 2
    assert "'xml' is not one of 'json', 'avro', 'json_schema', 'protobuf'" in done.err
