"""The integration guide says what is so: its links lead somewhere, its examples are read."""

import json
import re
from pathlib import Path

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage

from schemas import Question
from schemas.envelope import EXTENSIONS, PROPAGATED_HEADERS, ContentMode, decode_event
from schemas.generate.files import PUBLISHED, files
from worker.kafka.dev_broker import KAFKA_VERSION

GUIDE = Path(__file__).parents[2] / "schemas" / "INTEGRATION.md"
TEXT = GUIDE.read_text()


def blocks(language: str) -> list[str]:
    """The guide's pieces of code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_links_lead_somewhere_and_to_everything_that_is_published() -> None:
    links = {link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link}
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []
    assert {f"{PUBLISHED.name}/{name}" for name in files()} <= links


@pytest.mark.parametrize("block", blocks("json"))
def test_its_questions_are_questions(block: str) -> None:
    read = decode_event(Question, block.encode(), (), default_id="d", max_bytes=10_000)
    assert read.event.id == json.loads(block)["id"]


@pytest.mark.parametrize("block", blocks("python"))
def test_its_cloudevents_are_read(block: str) -> None:
    names: dict[str, KafkaMessage] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    message = names["message"]
    headers = list(message.headers.items())
    read = decode_event(Question, message.value, headers, default_id="d", max_bytes=10_000)
    assert (read.event.id, read.mode) == ("e-17", ContentMode.STRUCTURED)


def test_it_names_every_header_and_attribute_that_comes_back() -> None:
    assert [
        name for name in PROPAGATED_HEADERS | EXTENSIONS if f"`{name}`" not in TEXT.lower()
    ] == []


def test_its_commands_are_there() -> None:
    (commands,) = blocks("sh")
    for path in re.findall(r"schemas/examples/\S+", commands):
        assert (GUIDE.parents[1] / path).exists(), path


def test_the_java_example_has_the_client_of_the_brokers_version() -> None:
    pom = (GUIDE.parent / "examples" / "java" / "pom.xml").read_text()
    assert re.findall(r"kafka-clients</artifactId>\s*<version>([^<]+)", pom) == [KAFKA_VERSION]
