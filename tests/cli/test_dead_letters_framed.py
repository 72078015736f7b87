"""`qa-worker dead-letters show` of values that name a registered schema."""

import asyncio
import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from schemas.rejection import Header, Reason
from tests.cli.conftest import Command
from tests.dead_letters.records import dead_letter, post
from tests.schema_registry.framed import payload, prefixed, serve_schema
from tests.schema_registry.registry_server import RegistryServer
from tests.schema_registry.threaded_registry import threaded_registry
from tests.streaming.topics import Topics

QUESTION = {"question": "Who wrote it? \u202e", "context": "Ada 橋"}
GUID = UUID("7f9f3a1e-0d0e-4c57-9f1a-2d6d8a3b4c5d")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    with threaded_registry() as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        yield registry


def shown(command: Command, topics: Topics, value: bytes, *headers: Header) -> list[str]:
    """The lines from the schema on of the dead letter with this value."""
    asyncio.run(post(topics, dead_letter(topics, value, reason=Reason.SCHEMA, headers=headers)))
    done = command("dead-letters", "show", "0:0")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("schema: ")]
    return lines[start:]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("avro", "Avro, com.example.Question"),
        ("protobuf", "Protobuf, com.example.Question"),
        ("json", "JSON Schema, Question"),
    ],
)
def test_a_value_is_shown_decoded_with_its_schema(
    command: Command, topics: Topics, registry: RegistryServer, kind: str, name: str
) -> None:
    serve_schema(registry, kind, 7)
    value = prefixed(kind, 7, QUESTION)
    schema, size, document = shown(command, topics, value)
    assert schema == f"schema:    id 7 in the prefix, {name}"
    assert size == f"value:     {len(value)} bytes"
    assert json.loads(document.replace(r"\u202e", "\u202e")) == QUESTION
    assert "\u202e" not in document


def test_a_guid_in_the_header_names_the_schema_too(
    command: Command, topics: Topics, registry: RegistryServer
) -> None:
    serve_schema(registry, "avro", GUID)
    header = ("__value_schema_id", b"\1" + GUID.bytes)
    schema, _, document = shown(command, topics, payload("avro", QUESTION), header)
    assert schema == f"schema:    GUID {GUID} in the header, Avro, com.example.Question"
    assert json.loads(document.replace(r"\u202e", "\u202e")) == QUESTION


@pytest.mark.parametrize(
    ("value", "answer", "problem"),
    [
        (b"\0\0\0\0\7\x80", None, "Avro, com.example.Question; not decoded: not_avro: the bytes "),
        (b"\0\0\0\0\7\2a", (404, {"error_code": 40403, "message": "Schema 7 not found"}), ""),
        (b"\0\0\0\0\7\2a", (200, {"schema": "{"}), "not decoded: the schema cannot be used: "),
        (b"\0\0\0\0\7\2a", (503, "away"), "not decoded: http://127.0.0.1:"),
        (b"\0\0\0", None, "schema:    unknown; not decoded: the value's prefix has 2 of 4 bytes"),
    ],
    ids=["not avro", "unknown", "unusable", "away", "cut off"],
)
def test_what_cannot_be_decoded_is_named_and_shown_in_base64(
    command: Command,
    topics: Topics,
    registry: RegistryServer,
    value: bytes,
    answer: tuple[int, object] | None,
    problem: str,
) -> None:
    serve_schema(registry, "avro", 7)
    if answer is not None:
        registry.answers["GET /schemas/ids/7"] = answer
    schema, _, text = shown(command, topics, value)
    assert problem in schema
    assert text.startswith("base64: AAAA")


@pytest.mark.parametrize("kind", ["avro", "protobuf", "json"])
def test_without_a_registry_the_id_is_named(command: Command, topics: Topics, kind: str) -> None:
    schema, _, text = shown(command, topics, prefixed(kind, 7, QUESTION))
    assert schema == ("schema:    id 7 in the prefix; not decoded: SCHEMA_REGISTRY_URL is not set")
    assert text.startswith("base64: AAAAAA")


def test_json_whose_header_names_a_schema_is_shown_as_text_without_a_registry(
    command: Command, topics: Topics
) -> None:
    header = ("__value_schema_id", b"\0\0\0\0\7")
    schema, _, text = shown(command, topics, b'{"a": 1}', header)
    assert "id 7 in the header; not decoded: " in schema
    assert text == '{"a": 1}'


def test_a_registry_that_does_not_answer_is_waited_for_within_its_timeout(
    command: Command, topics: Topics, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_REQUEST_TIMEOUT_MS", "200")
    registry.held = asyncio.Event()
    schema, _, text = shown(command, topics, prefixed("avro", 7, QUESTION))
    assert schema == (
        f"schema:    id 7 in the prefix; not decoded: {registry.url} does not answer within 0.2 s"
    )
    assert text.startswith("base64: ")


def test_wrong_settings_of_the_registry_do_not_hide_the_dead_letter(
    command: Command, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "https://127.0.0.1:1")
    monkeypatch.setenv("SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION", "/nowhere.pem")
    schema, _, text = shown(command, topics, prefixed("avro", 7, QUESTION))
    assert "not decoded: SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION" in schema
    assert text.startswith("base64: ")
