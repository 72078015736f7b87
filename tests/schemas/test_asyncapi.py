"""The published AsyncAPI document, under the eyes of AsyncAPI's own parser."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from schemas.generate.files import PUBLISHED
from schemas.rejection import Reason
from tests.tools import tool, tool_file

DOCUMENT = PUBLISHED / "asyncapi.yaml"

BREAKS = {
    "channels.answers.address": 5,
    "channels.answers.bindings.kafka.partitions": 0,
    "components.schemas.Span.properties.start.type": "position",
}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the parser says of our document, and of one with a few things changed."""
    document = yaml.safe_load(DOCUMENT.read_text())
    for path, value in BREAKS.items():
        *way, last = path.split(".")
        part = document
        for step in way:
            part = part[step]
        part[last] = value
    broken = tmp_path_factory.mktemp("asyncapi") / "broken.yaml"
    broken.write_text(yaml.safe_dump(document))
    script = Path(__file__).with_name("asyncapi_parser.cjs")
    command = [tool("node"), str(script), str(tool_file("node/node_modules"))]
    said = subprocess.run(
        [*command, str(DOCUMENT), str(broken)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


@pytest.fixture
def ours(parsed: list[dict[str, Any]]) -> dict[str, Any]:
    return parsed[0]


@pytest.fixture
def broken(parsed: list[dict[str, Any]]) -> dict[str, Any]:
    return parsed[1]


@pytest.mark.process
@pytest.mark.tools
def test_official_parser_accepts_the_document(ours: dict[str, Any]) -> None:
    # 3.0 is the version of AsyncAPI that its tools read; that there is a 3.1 is no fault.
    assert {each["code"] for each in ours["findings"]} <= {"asyncapi-latest-version"}
    shapes = ("", "Structured", "Binary")
    events = [f"{kind}{shape}" for kind in ("question", "text") for shape in shapes]
    events.append("questionAzureMl")
    assert {name: list(messages) for name, messages in ours["operations"].items()} == {
        "receiveEvent": events,
        "receiveRequest": events,
        "sendOutcome": [f"{kind}{shape}" for kind in ("answer", "embedding") for shape in shapes],
        "sendDeadLetter": ["deadLetter"],
        "sendUnsureQuestion": ["unsureQuestion"],
    }


@pytest.mark.process
@pytest.mark.tools
def test_examples_match_their_messages(ours: dict[str, Any]) -> None:
    for messages in ours["operations"].values():
        for name, message in messages.items():
            assert message["examples"], name
            for example in message["examples"]:
                for part in ("headers", "payload"):
                    schema = Draft7Validator(message[part])
                    assert [error.message for error in schema.iter_errors(example[part])] == []
    answer = ours["operations"]["sendOutcome"]["answerBinary"]
    assert "traceparent" in answer["headers"]["properties"]
    assert not Draft7Validator(answer["headers"]).is_valid({"ce_type": "qa.embedding"})
    assert not Draft7Validator(answer["payload"]).is_valid({"id": "q-1"})


@pytest.mark.process
@pytest.mark.tools
def test_official_parser_rejects_broken_documents(broken: dict[str, Any]) -> None:
    errors = {each["path"] for each in broken["findings"] if each["severity"] == "error"}
    assert {path for path in BREAKS if any(error.startswith(path) for error in errors)} == (
        set(BREAKS)
    )


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.safe_load(DOCUMENT.read_text())


def test_channels_match_the_created_topics(document: Any) -> None:
    described = {
        channel["address"]: channel["bindings"]["kafka"]
        for channel in document["channels"].values()
        if channel["address"] is not None
    }
    assert list(described) == ["qa.questions", "qa.answers", "qa.questions.dead", "qa.unsure"]
    for topic, binding in described.items():
        assert (binding["topic"], binding["partitions"], binding["replicas"]) == (topic, 12, 3)
    assert described["qa.answers"]["topicConfiguration"] == {"max.message.bytes": 2**20 + 2**16}


def test_document_lists_every_reason(document: Any) -> None:
    headers = document["components"]["messages"]["deadLetter"]["headers"]["properties"]
    assert headers["qa.reason"]["enum"] == [str(reason) for reason in Reason]
