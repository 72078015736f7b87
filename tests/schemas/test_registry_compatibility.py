"""What schema registries get is compatible over the versions: BACKWARD, and for outcomes FULL."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from jsonschema import Draft7Validator
from pydantic import BaseModel

from schemas import VERSION, Answer, Embedding, Outcome
from schemas.generate import samples
from schemas.generate.files import PUBLISHED
from tests.schemas.record import EVENTS, OUTCOMES, REGISTRY_FILES, VERSIONS
from tests.schemas.registry_versions import schema_of
from tests.schemas.valid import faults
from worker.schema_registry.proto_text import parse_proto

ON_RECORD = sorted(VERSIONS.iterdir())
FILES = sorted(path for end in REGISTRY_FILES for path in PUBLISHED.glob(f"*{end}"))
MODELS: dict[str, type[BaseModel]] = {**EVENTS, "answer": Answer, "embedding": Embedding}
TODAY: dict[str, Outcome] = {"answer": samples.ANSWER, "embedding": samples.EMBEDDING}


def each_version(*names: str) -> pytest.MarkDecorator:
    """Parameters of a test: each version, with each of the events that it has."""
    return pytest.mark.parametrize(
        ("version", "name"),
        [
            pytest.param(version, name, id=f"{version.name}-{name}")
            for version in ON_RECORD
            for name in names
            if (version / f"{name}.schema.json").exists()
        ],
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_change_needs_a_new_version(path: Path) -> None:
    # Even of a comment: the registry has the text, and the worker looks it up.
    assert path.read_text() == (VERSIONS / VERSION / path.name).read_text(), (
        "raise schemas.VERSION, then: make generate, python -m tests.schemas.record"
    )
    assert path.read_text().isascii()  # Apicurio damages other characters


def recorded(version: Path, name: str) -> Iterator[dict[str, Any]]:
    """Outcomes that the version wrote, or events as it read them."""
    if name in OUTCOMES:
        yield from json.loads((version / f"{name}.json").read_text())
        return
    for event in json.loads((version / "events.json").read_text()):
        if event["kind"] == name:
            yield {field: value for field, value in event["read"].items() if field != "mode"}


def avro(text: str) -> Any:
    return fastavro.parse_schema(json.loads(text))


def read_avro(document: dict[str, Any], writer: Any, reader: Any) -> Any:
    """What a consumer with `reader` reads of what a producer with `writer` wrote."""
    data = io.BytesIO()
    fastavro.schemaless_writer(data, writer, with_texts(document))
    data.seek(0)
    return fastavro.schemaless_reader(data, writer, reader)


def with_texts(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the values of its metadata as texts, as Avro has them."""
    changed = dict(document)
    if "metadata" in document:
        changed["metadata"] = {name: str(value) for name, value in document["metadata"].items()}
    if document.get("contexts"):
        changed["contexts"] = [with_texts(each) for each in document["contexts"]]
    return changed


@each_version(*MODELS)
def test_avro_reads_what_a_version_wrote(version: Path, name: str) -> None:
    writer = avro(schema_of(version, name, ".avsc"))
    reader = avro((PUBLISHED / f"{name}.avsc").read_text())
    documents = list(recorded(version, name))
    assert documents
    model = MODELS[name]
    for document in documents:
        back = read_avro(document, writer, reader)
        assert model.model_validate(back) == model.model_validate(with_texts(document))


@each_version(*TODAY)
def test_a_versions_consumers_read_todays_outcomes_in_avro(version: Path, name: str) -> None:
    writer = avro((PUBLISHED / f"{name}.avsc").read_text())
    document = TODAY[name].model_dump(mode="json")
    back = read_avro(document, writer, avro(schema_of(version, name, ".avsc")))
    whole = read_avro(document, writer, writer)
    assert is_part(back, whole)
    assert back["id"] == document["id"]


def is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(name in whole and is_part(each, whole[name]) for name, each in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_part, part, whole))
    return bool(part == whole)


@each_version(*MODELS)
def test_a_versions_documents_are_valid_in_the_registrys_json_schema(
    version: Path, name: str
) -> None:
    schema = Draft7Validator(json.loads((PUBLISHED / f"{name}.registry.json").read_text()))
    documents = list(recorded(version, name))
    if name in TODAY:
        documents.append(TODAY[name].model_dump(mode="json"))
    assert [faults(schema, each) for each in documents] == [[]] * len(documents)


@each_version(*MODELS)
def test_numbers_and_types_of_protobuf_fields_stay(version: Path, name: str) -> None:
    then = parse_proto(schema_of(version, name, ".proto"), "then").message_type[0]
    now = parse_proto((PUBLISHED / f"{name}.proto").read_text(), "now").message_type[0]
    assert list(changed(then, now)) == []


def changed(then: DescriptorProto, now: DescriptorProto) -> Iterator[str]:
    """What readers of `now` would not find as `then` wrote it."""
    if then.name != now.name:
        yield f"message {then.name} is {now.name}"
    fields = {field.number: wire_form(field) for field in now.field}
    for field in then.field:
        if fields.get(field.number) != wire_form(field):
            yield f"{then.name}.{field.name} = {field.number} is {fields.get(field.number)}"
    messages = {message.name: message for message in now.nested_type}
    for message in then.nested_type:
        if message.name not in messages:
            yield f"message {then.name}.{message.name} is missing"
        else:
            yield from changed(message, messages[message.name])


def wire_form(field: FieldDescriptorProto) -> tuple[Any, ...]:
    return field.name, field.type, field.type_name, field.label, field.proto3_optional


BREAKING = {
    "another number": ("int64 end = 5;", "int64 end = 15;"),
    "another type": ("int64 windows = 12;", "string windows = 12;"),
    "another name": ("bool answered = 8;", "bool known = 8;"),
    "presence": ("optional int64 context_index = 6;", "int64 context_index = 6;"),
    "within a message": ("string topic = 1;", "string topic = 4;"),
    "a list": ("repeated Span answers = 9;", "Span answers = 9;"),
}


@pytest.mark.parametrize("breaking", BREAKING)
def test_a_breaking_change_of_protobuf_is_detected(breaking: str) -> None:
    text = (PUBLISHED / "answer.proto").read_text()
    before, after = BREAKING[breaking]
    assert before in text
    then, now = (
        parse_proto(each, "file").message_type[0] for each in (text, text.replace(before, after))
    )
    assert len(list(changed(then, now))) == 1


@each_version("answer")
def test_a_breaking_change_of_avro_is_detected(version: Path, name: str) -> None:
    text = (PUBLISHED / f"{name}.avsc").read_text()
    schema = json.loads(text)
    schema["fields"].append({"name": "language", "type": "string"})  # without a default
    writer = avro(schema_of(version, name, ".avsc"))
    with pytest.raises(SchemaResolutionError, match="language"):
        read_avro(next(recorded(version, name)), writer, avro(json.dumps(schema)))
