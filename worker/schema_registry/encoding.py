"""Encodes outcomes, and questions of clients, as Avro or Protobuf values, by the published schemas.
Pure.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastavro
from google.protobuf.message import Message

from schemas.event import Event, Outcome
from schemas.rejection import Reason, Rejected
from worker.schema_registry.protobuf import message_classes

Encode = Callable[[Outcome | Event[Any]], bytes]
"""Raises `Rejected` for an outcome or event that the format cannot hold."""

MAX_STRUCT_DEPTH = 30
"""Nesting of metadata in Protobuf. An object within an object is three messages deep, and parsers
of Protobuf refuse messages that are nested more than 100 deep."""


def avro_encoder(schema_text: str) -> Encode:
    """An encoder by the text of an Avro schema of `schemas/published`."""
    schema = fastavro.parse_schema(json.loads(schema_text))

    def encode(outcome: Outcome | Event[Any]) -> bytes:
        document = outcome.model_dump(mode="json")
        for part in (document, *(document.get("contexts") or ())):
            part["metadata"] = _texts(part["metadata"])
        data = io.BytesIO()
        fastavro.schemaless_writer(data, schema, document)
        return data.getvalue()

    return encode


def _texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
    }


def protobuf_encoder(schema_text: str) -> Encode:
    """An encoder by the text of a published `.proto` file, for its first message."""
    message_class = message_classes(schema_text)[0]

    def encode(outcome: Outcome | Event[Any]) -> bytes:
        message = message_class()
        _fill(message, outcome.model_dump(mode="json"))
        data: bytes = message.SerializeToString(deterministic=True)
        return data

    return encode


def _fill(message: Message, document: Mapping[str, Any]) -> None:
    """As `json_format.ParseDict`, which takes six times as long for an embedding."""
    for name, value in document.items():
        if value is None:
            continue
        if not isinstance(value, (Mapping, list)):
            setattr(message, name, value)
            continue
        field = getattr(message, name)
        if isinstance(value, list):
            if value and isinstance(value[0], Mapping):
                for each in value:
                    _fill(field.add(), each)
            else:
                field.extend(value)
        elif name != "metadata":
            field.SetInParent()  # also if all of its fields have their defaults
            _fill(field, value)
        elif value:
            _fill_struct(field, value, 1)


# Struct, ListValue and Value are classes of the schema's own pool, not those of struct_pb2.
def _fill_struct(struct: Any, values: Mapping[str, Any], depth: int) -> None:
    _check(depth)
    for name, value in values.items():
        _set(struct.fields[name], value, depth)


def _fill_list(items: Any, values: Sequence[Any], depth: int) -> None:
    _check(depth)
    for value in values:
        _set(items.values.add(), value, depth)


def _check(depth: int) -> None:
    if depth > MAX_STRUCT_DEPTH:
        raise Rejected(
            Reason.ANSWER_NOT_ENCODABLE,
            f"metadata: nested more than {MAX_STRUCT_DEPTH} deep, which Protobuf cannot hold",
        )


def _set(field: Any, value: Any, depth: int) -> None:
    match value:
        case None:
            field.null_value = 0
        case bool():
            field.bool_value = value
        case str():
            field.string_value = value
        case int() | float():
            try:
                field.number_value = value
            except OverflowError:
                raise Rejected(
                    Reason.ANSWER_NOT_ENCODABLE,
                    "metadata: an integer out of the range of numbers in Protobuf",
                ) from None
        case Mapping():
            field.struct_value.SetInParent()
            _fill_struct(field.struct_value, value, depth + 1)
        case list():
            field.list_value.SetInParent()
            _fill_list(field.list_value, value, depth + 1)
