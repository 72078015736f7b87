"""Questions as serializers of a schema registry write them, and their schemas."""

import io
import json
from typing import Any

import fastavro

from tests.schema_registry.registry_server import RegistryServer
from worker.schema_registry.framing import frame_prefix
from worker.schema_registry.protobuf import message_classes

AVRO = json.dumps(
    {
        "type": "record",
        "name": "Question",
        "namespace": "com.example",
        "fields": [
            {"name": "question", "type": "string"},
            {"name": "context", "type": "string"},
        ],
    }
)
PROTOBUF = """
syntax = "proto3";
package com.example;
message Other { string name = 1; }
message Question { string question = 1; string context = 2; }
"""
JSON_SCHEMA = json.dumps(
    {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Question", "type": "object"}
)

SCHEMAS = {
    "avro": ("AVRO", AVRO),
    "protobuf": ("PROTOBUF", PROTOBUF),
    "json": ("JSON", JSON_SCHEMA),
}


def payload(kind: str, question: dict[str, Any]) -> bytes:
    """The question in this format, without a prefix and without message indexes."""
    if kind == "avro":
        data = io.BytesIO()
        fastavro.schemaless_writer(data, json.loads(AVRO), question)
        return data.getvalue()
    if kind == "protobuf":
        written: bytes = message_classes(PROTOBUF)[1](**question).SerializeToString()
        return written
    return json.dumps(question).encode()


def prefixed(kind: str, schema_id: int, question: dict[str, Any]) -> bytes:
    indexes = (1,) if kind == "protobuf" else None
    return frame_prefix(schema_id, indexes) + payload(kind, question)


def serve_schema(registry: RegistryServer, kind: str, ref: object) -> None:
    """`ref` is an id or a GUID."""
    schema_type, text = SCHEMAS[kind]
    path = "ids" if isinstance(ref, int) else "guids"
    registry.answers[f"GET /schemas/{path}/{ref}"] = (
        200,
        {"schemaType": schema_type, "schema": text},
    )
