"""`qa-worker schemas register|check`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.generate.files import PUBLISHED
from tests.cli.conftest import Command
from tests.inference.embeddings import write_embedding_bundle
from tests.schema_registry.keeping_registry import FIRST_ID, KeepingRegistry, keeping_registry
from tests.schema_registry.threaded_registry import threaded


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeepingRegistry]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    with threaded(keeping_registry()) as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        yield registry


def rows(output: str) -> list[tuple[str, ...]]:
    """The cells of a table without its head."""
    lines = [line for line in output.splitlines() if line.startswith("│")]
    return [tuple(cell.strip() for cell in line.strip("│").split("│")) for line in lines]


def test_registers_and_checks_the_answers_schema(
    command: Command, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setenv("QA_ANSWER_FORMAT", "protobuf")
    before = command("schemas", "check")
    assert (before.code, rows(before.out)) == (1, [("qa.answers-value", "answer.proto", "missing")])
    assert registry.schemas == []
    for done in (command("schemas", "register"), command("schemas", "check")):
        assert (done.code, done.err) == (0, "")
        assert rows(done.out) == [("qa.answers-value", "answer.proto", str(FIRST_ID))]
    text = (PUBLISHED / "answer.proto").read_text()
    assert registry.schemas == [{"schemaType": "PROTOBUF", "schema": text}]


def test_registers_the_questions_schema_for_each_of_their_topics(
    command: Command, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setenv("QA_QUESTIONS_TOPICS", "fast:8,slow:1")
    done = command("schemas", "register", "--questions", "avro")
    assert (done.code, done.err) == (0, "")
    assert rows(done.out) == [
        ("fast-value", "question.avsc", str(FIRST_ID)),
        ("slow-value", "question.avsc", str(FIRST_ID)),
    ]
    assert list(registry.subjects) == ["fast-value", "slow-value"]


def test_the_schemas_are_those_of_the_models_task(
    command: Command, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QA_MODEL", str(write_embedding_bundle(tmp_path / "embedder")))
    monkeypatch.setenv("QA_ANSWER_FORMAT", "avro")
    done = command("schemas", "register", "--questions", "json_schema")
    assert [row[1] for row in rows(done.out)] == ["text.registry.json", "embedding.avsc"]


def test_a_refused_schema_is_one_line(
    command: Command, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setenv("QA_ANSWER_FORMAT", "avro")
    registry.refusal = "Schema being registered is incompatible with an earlier schema"
    done = command("schemas", "register")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "qa-worker: the schema registry refuses answer.avsc under the subject qa.answers-value: "
        "Schema being registered is incompatible with an earlier schema\n"
    )


def test_a_registry_that_is_away_is_one_line(
    command: Command, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setenv("QA_ANSWER_FORMAT", "avro")
    registry.is_away = True
    done = command("schemas", "check")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"qa-worker: SCHEMA_REGISTRY_URL: {registry.url} answers 503\n"


def test_json_has_no_schema_to_register(command: Command, registry: KeepingRegistry) -> None:
    done = command("schemas", "register")
    assert (done.code, done.out) == (1, "")
    assert "set QA_ANSWER_FORMAT to avro, json_schema or protobuf" in done.err
    assert registry.requests == []


@pytest.mark.parametrize("parses", [True, False])
def test_a_subject_with_another_type_is_named(
    command: Command,
    registry: KeepingRegistry,
    monkeypatch: pytest.MonkeyPatch,
    tiny_model: Path,
    parses: bool,
) -> None:
    registry.register("qa.answers-value", {"schemaType": "PROTOBUF", "schema": "syntax = ..."})
    registry.unparsable = "" if parses else "Unrecognized token 'syntax'"  # as Apicurio says it
    monkeypatch.setenv("QA_ANSWER_FORMAT", "avro")
    done = command("schemas", "check")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "qa-worker: the schema registry refuses answer.avsc under the subject qa.answers-value: "
        "it has schemas of the type PROTOBUF, not AVRO; use another topic, or delete the subject\n"
    )


def test_a_path_without_a_registry_names_the_setting(
    command: Command, registry: KeepingRegistry, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setenv("QA_ANSWER_FORMAT", "avro")
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"{registry.url}/apis")
    done = command("schemas", "check")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        f"qa-worker: cannot use the schema registry for the subject qa.answers-value: "
        f"{registry.url}/apis answers 404 HTTP 404 Not Found: no schema registry answers under "
        f"this path; correct SCHEMA_REGISTRY_URL"
    )
