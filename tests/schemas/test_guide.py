"""The integration guide: its links, examples, commands and names are correct."""

import json
import re
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage

from schemas import Question
from schemas.envelope import EXTENSIONS, PROPAGATED_HEADERS, ContentMode, decode_event
from schemas.generate.files import PUBLISHED, files
from schemas.rejection import Reason
from tests.schemas.valid import faults, published
from worker.kafka.dev_broker import KAFKA_VERSION
from worker.settings import Settings
from worker.settings.environment import validate

GUIDE = Path(__file__).parents[2] / "schemas" / "INTEGRATION.md"
TEXT = GUIDE.read_text()


def blocks(language: str) -> list[str]:
    """The guide's code blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_guide_links_every_published_file() -> None:
    links = set(re.findall(r"\]\(([^)]+)\)", TEXT))
    assert {f"{PUBLISHED.name}/{name}" for name in files()} <= links


@pytest.mark.parametrize("block", blocks("json"))
def test_json_examples_are_valid(block: str) -> None:
    event = json.loads(block)
    kinds = ("text", "embedding", "answer", "question", "error")
    (schema,) = (name for name in kinds if name in event)
    assert faults(published("error-reply" if schema == "error" else schema), event) == []
    if schema == "question":
        decode_event(Question, block.encode(), (), default_id="d", max_bytes=10_000)


def test_answer_example_matches_the_question_example() -> None:
    examples = [json.loads(block) for block in blocks("json")]
    question, answer = (
        next(each for each in examples if field in each) for field in ("question", "answer")
    )
    assert (answer["id"], answer["metadata"]) == (question["id"], question["metadata"])
    for span in answer["answers"]:
        assert question["context"][span["start"] : span["end"]] == span["answer"]


def test_guide_names_every_reason_and_dead_letter_header() -> None:
    headers = json.loads((PUBLISHED / "dead-letter-headers.schema.json").read_text())
    names = [*Reason, *headers["properties"]]
    assert [name for name in names if f"`{name}`" not in TEXT] == []


@pytest.mark.parametrize("block", [each for each in blocks("python") if "cloudevents" in each])
def test_cloudevents_examples_are_decoded(block: str) -> None:
    names: dict[str, KafkaMessage] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    message = names["message"]
    headers = list(message.headers.items())
    read = decode_event(Question, message.value, headers, default_id="d", max_bytes=10_000)
    assert (read.event.id, read.mode) == ("e-17", ContentMode.STRUCTURED)


def test_guide_names_every_propagated_header_and_attribute() -> None:
    assert [
        name for name in PROPAGATED_HEADERS | EXTENSIONS if f"`{name}`" not in TEXT.lower()
    ] == []


def test_fields_of_the_tickets_are_those_of_the_example() -> None:
    program = (GUIDE.parent / "examples" / "confluent" / "send_tickets.py").read_text()
    fields = re.findall(r"QA_FIELDS=[\w.,=]+", TEXT)
    assert [each for each in fields if each in program] == fields


def test_commands_of_the_guide_exist() -> None:
    paths = [
        path for commands in blocks("sh") for path in re.findall(r"schemas/examples/\S+", commands)
    ]
    assert len(paths) == 8
    assert [path for path in paths if not (GUIDE.parents[1] / path).exists()] == []


def test_settings_of_the_guide_are_valid() -> None:
    for block in blocks("sh"):
        exports = re.findall(r"^export (.+)$", block, re.MULTILINE)
        environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(exports)))
        assert isinstance(validate(environment), Settings), block


def test_java_client_version_is_the_brokers() -> None:
    pom = (GUIDE.parent / "examples" / "java" / "pom.xml").read_text()
    assert re.findall(r"kafka-clients</artifactId>\s*<version>([^<]+)", pom) == [KAFKA_VERSION]
