"""Framed values of questions, and the schemas that a registry stand-in has for them."""

import io
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import fastavro

from tests.schema_registry.registry_server import RegistryServer
from worker.schema_registry.framing import frame_prefix
from worker.schema_registry.protobuf import message_classes

AVRO, FOREIGN_AVRO, PROTOBUF, JSON, TEXT_AVRO = 1, 2, 3, 4, 5
"""Ids of the schemas."""

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
"""The Avro schema's."""

_QUESTION = {
    "type": "record",
    "name": "Question",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "question", "type": "string"},
        {"name": "context", "type": "string"},
        {
            "name": "options",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Options",
                    "fields": [{"name": "min_score", "type": "double"}],
                },
            ],
            "default": None,
        },
        {"name": "expires_at", "type": ["null", "string"], "default": None},
    ],
}
_FOREIGN = {
    "type": "record",
    "name": "Ticket",
    "fields": [
        {
            "name": "query",
            "type": {
                "type": "record",
                "name": "Query",
                "fields": [{"name": "text", "type": "string"}],
            },
        },
        {"name": "body", "type": "string"},
        {"name": "question", "type": "int"},
    ],
}
_TEXT = {
    "type": "record",
    "name": "Text",
    "fields": [{"name": "id", "type": "string"}, {"name": "text", "type": "string"}],
}
_PROTO = """
syntax = "proto3";
message Other { string x = 1; }
message Outer {
  message Question { string id = 1; string question = 2; string context = 3; }
}
"""
INDEXES = 1, 0
"""Of the message Outer.Question."""

_SCHEMAS = {
    AVRO: {"schema": json.dumps(_QUESTION)},
    FOREIGN_AVRO: {"schema": json.dumps(_FOREIGN)},
    PROTOBUF: {"schema": _PROTO, "schemaType": "PROTOBUF"},
    JSON: {"schema": '{"type": "object"}', "schemaType": "JSON"},
    TEXT_AVRO: {"schema": json.dumps(_TEXT)},
}


def serve_schemas(registry: RegistryServer, *more: int) -> None:
    """Let the registry answer for the schemas; `more` are ids of the Avro schema as well."""
    for number, schema in (_SCHEMAS | dict.fromkeys(more, _SCHEMAS[AVRO])).items():
        registry.answers[f"GET /schemas/ids/{number}"] = 200, schema
    registry.answers[f"GET /schemas/guids/{GUID}"] = 200, _SCHEMAS[AVRO]


def question(number: int, **more: Any) -> dict[str, Any]:
    """As `tests.streaming.topics.event`."""
    return {
        "id": f"q-{number}",
        "question": f"Who is number {number}?",
        "context": f"Person{number} lives here.",
        **more,
    }


def avro_payload(document: Mapping[str, Any]) -> bytes:
    return _encode(_QUESTION, document)


def avro(number: int, schema_id: int = AVRO, **more: Any) -> bytes:
    return frame_prefix(schema_id) + avro_payload(question(number, **more))


def avro_by_guid(number: int) -> bytes:
    return b"\1" + GUID.bytes + avro_payload(question(number))


def foreign_avro(number: int) -> bytes:
    asked = question(number)
    document = {"query": {"text": asked["question"]}, "body": asked["context"], "question": 5}
    return frame_prefix(FOREIGN_AVRO) + _encode(_FOREIGN, document)


def text_avro(name: str, text: str) -> bytes:
    return frame_prefix(TEXT_AVRO) + _encode(_TEXT, {"id": name, "text": text})


def protobuf(number: int) -> bytes:
    outer: Any = message_classes(_PROTO)[INDEXES[0]]
    message = outer.Question(**question(number))
    data: bytes = message.SerializeToString()
    return frame_prefix(PROTOBUF, INDEXES) + data


def json_schema(number: int) -> bytes:
    return frame_prefix(JSON) + json.dumps(question(number)).encode()


def _encode(schema: Any, document: Mapping[str, Any]) -> bytes:
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(schema), dict(document))
    return data.getvalue()
