"""Questions by the schemas of a company that knows no question event: one for each format; that of
Protobuf is in `foreign_protobuf.py`.

`QA_FIELDS` maps their fields; `metadata` has what each format has beside texts and numbers, so an
answer shows how the worker reads it. Each schema refers to another one, the schema of a person.
"""

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

QA_FIELDS = "id=key,question=query.text,context=body,metadata=attributes"
QUESTION = "Who wrote the report?"
CONTEXT = "The 🌉 report was written by Anna Lindqvist in 2019."
ANSWER = "Anna Lindqvist"


@dataclass(frozen=True)
class ForeignSchema:
    """A schema as text, and the schema that it refers to."""

    text: str
    person: str
    person_name: str
    """The name by which `text` refers to `person`."""


AVRO = ForeignSchema(
    text=json.dumps(
        {
            "type": "record",
            "name": "Ask",
            "namespace": "acme",
            "fields": [
                {"name": "key", "type": {"type": "string", "logicalType": "uuid"}},
                {
                    "name": "query",
                    "type": {
                        "type": "record",
                        "name": "Query",
                        "fields": [{"name": "text", "type": "string"}],
                    },
                },
                {"name": "body", "type": ["null", "string"]},
                {
                    "name": "attributes",
                    "type": {
                        "type": "record",
                        "name": "Attributes",
                        "fields": [
                            {"name": name, "type": schema}
                            for name, schema in {
                                "asked_at": {"type": "long", "logicalType": "timestamp-micros"},
                                "day": {"type": "int", "logicalType": "date"},
                                "time": {"type": "int", "logicalType": "time-millis"},
                                "price": {
                                    "type": "bytes",
                                    "logicalType": "decimal",
                                    "precision": 8,
                                    "scale": 2,
                                },
                                "checksum": "bytes",
                                "digest": {"type": "fixed", "name": "Digest", "size": 2},
                                "language": {
                                    "type": "enum",
                                    "name": "Language",
                                    "symbols": ["EN", "SV"],
                                },
                                "tags": {"type": "array", "items": "string"},
                                "counts": {"type": "map", "values": "long"},
                                "note": ["null", "int", "string"],
                                "author": ["null", "acme.Person"],
                                "editor": ["null", "acme.Person"],
                            }.items()
                        ],
                    },
                },
            ],
        }
    ),
    person=json.dumps(
        {
            "type": "record",
            "name": "Person",
            "namespace": "acme",
            "fields": [
                {"name": "name", "type": "string"},
                {"name": "boss", "type": ["null", "acme.Person"]},
            ],
        }
    ),
    person_name="acme.Person",
)


def avro_value(key: UUID) -> dict[str, Any]:
    return {
        "key": key,
        "query": {"text": QUESTION},
        "body": CONTEXT,
        "attributes": {
            "asked_at": dt.datetime(2024, 5, 1, 12, 0, 0, 250_000, dt.UTC),
            "day": dt.date(2024, 5, 1),
            "time": dt.time(12, 30),
            "price": Decimal("12.50"),
            "checksum": b"\x00\xff",
            "digest": b"\x01\x02",
            "language": "SV",
            "tags": ["a", "b"],
            "counts": {"reads": 2**53 - 1},
            "note": "short",
            "author": {"name": "Anna", "boss": {"name": "Ida", "boss": None}},
            "editor": None,
        },
    }


AVRO_METADATA: dict[str, Any] = {
    "asked_at": "2024-05-01T12:00:00.250000+00:00",
    "day": "2024-05-01",
    "time": "12:30:00",
    "price": "12.50",
    "checksum": "AP8=",
    "digest": "AQI=",
    "language": "SV",
    "tags": ["a", "b"],
    "counts": {"reads": 2**53 - 1},
    "note": "short",
    "author": {"name": "Anna", "boss": {"name": "Ida", "boss": None}},
    "editor": None,
}
"""Null fields of metadata stay."""

_DRAFT = "http://json-schema.org/draft-07/schema#"

JSON_SCHEMA = ForeignSchema(
    text=json.dumps(
        {
            "$schema": _DRAFT,
            "title": "AskJson",
            "type": "object",
            "properties": {
                "key": {"type": "string", "format": "uuid"},
                "query": {"type": "object", "properties": {"text": {"type": "string"}}},
                "body": {"type": "string"},
                "attributes": {
                    "type": "object",
                    "properties": {
                        "language": {"enum": ["EN", "SV"]},
                        "counts": {"additionalProperties": {"type": "integer"}},
                        "author": {"$ref": "person.json"},
                    },
                },
            },
            "required": ["key", "query", "body"],
        }
    ),
    person=json.dumps(
        {
            "$schema": _DRAFT,
            "title": "Person",
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        }
    ),
    person_name="person.json",
)

JSON_METADATA: dict[str, Any] = {
    "language": "SV",
    "counts": {"reads": 3},
    "author": {"name": "Anna"},
    "editor": None,
    "tags": ["a", 1.5, True],
}


def json_value(key: UUID) -> dict[str, Any]:
    return {
        "key": str(key),
        "query": {"text": QUESTION},
        "body": CONTEXT,
        "attributes": JSON_METADATA,
    }
