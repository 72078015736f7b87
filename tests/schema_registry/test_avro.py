"""Avro values become values of JSON, or an error of one kind."""

import contextlib
import io
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schema_registry.avro import avro_decoder
from worker.schema_registry.decoding import (
    RegisteredSchema,
    UndecodableValueError,
    UnusableSchemaError,
    ValueTooLargeError,
)

PASSAGE = {
    "type": "record",
    "name": "Passage",
    "namespace": "acme",
    "fields": [{"name": "text", "type": "string"}],
}
QUESTION = {
    "type": "record",
    "name": "Question",
    "namespace": "acme",
    "fields": [
        {"name": "question", "type": "string"},
        {"name": "context", "type": ["null", "string"], "default": None},
        {"name": "contexts", "type": {"type": "array", "items": "acme.Passage"}},
        {"name": "labels", "type": {"type": "map", "values": "long"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["ASK", "TELL"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "cost",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2},
        },
        {"name": "key", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "raw", "type": "bytes"},
        {"name": "score", "type": "double"},
    ],
}
CHAIN = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}


def registered(schema: Any, **references: Any) -> RegisteredSchema:
    texts = {name: json.dumps(each) for name, each in references.items()}
    return RegisteredSchema("AVRO", json.dumps(schema), texts)


def test_logical_types_unions_and_references_become_json() -> None:
    named: dict[str, Any] = {}
    fastavro.parse_schema(PASSAGE, named_schemas=named)
    schema = fastavro.parse_schema(QUESTION, named_schemas=named)
    data = io.BytesIO()
    fastavro.schemaless_writer(
        data,
        schema,
        {
            "question": "Who wrote it?",
            "context": None,
            "contexts": [{"text": "Ada wrote it."}],
            "labels": {"tenant": 2**53 + 1},
            "kind": "TELL",
            "at": datetime(2026, 11, 26, 8, tzinfo=UTC),
            "cost": Decimal("1.25"),
            "key": UUID(int=7),
            "raw": b"\0\xff",
            "score": math.inf,
        },
    )
    decode = avro_decoder(registered(QUESTION, passage=PASSAGE))
    assert decode(data.getvalue()) == {
        "question": "Who wrote it?",
        "context": None,
        "contexts": [{"text": "Ada wrote it."}],
        "labels": {"tenant": 2**53 + 1},
        "kind": "TELL",
        "at": "2026-11-26T08:00:00+00:00",
        "cost": "1.25",
        "key": "00000000-0000-0000-0000-000000000007",
        "raw": "AP8=",
        "score": "Infinity",
    }


@pytest.mark.parametrize("levels", [5_000, 500_000])
def test_a_deep_value_is_an_error_and_does_not_end_the_process(levels: int) -> None:
    decode = avro_decoder(registered(CHAIN))
    assert decode(b"\2\2\0") == {"next": {"next": {"next": None}}}
    with pytest.raises(UndecodableValueError, match="nested too deeply"):
        decode(b"\2" * levels + b"\0")


def test_a_chain_deeper_than_json_may_be_is_an_error() -> None:
    decode = avro_decoder(registered(CHAIN))
    assert str(decode(b"\2" * 149 + b"\0")).count("next") == 150
    with pytest.raises(UndecodableValueError, match="nested too deeply"):
        decode(b"\2" * 210 + b"\0")


def doubled(levels: int) -> Any:
    """Records of two records, whose values take no bytes."""
    schema: Any = {"type": "record", "name": "R0", "fields": []}
    for level in range(1, levels):
        fields = [{"name": "a", "type": schema}, {"name": "b", "type": f"R{level - 1}"}]
        schema = {"type": "record", "name": f"R{level}", "fields": fields}
    return schema


LONG = "x" * 1000
NULLS = [{"name": f"n{n}", "type": "null"} for n in range(200)]
A_WIDE_RECORD = {
    "type": "record",
    "name": "W",
    "fields": [{"name": "a", "type": "int"}, *NULLS],
}


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        (doubled(40), b""),
        ({"type": "array", "items": A_WIDE_RECORD}, b"\x80\1" + b"\2" * 64 + b"\0"),
        (
            {"type": "array", "items": {"type": "enum", "name": "E", "symbols": [LONG]}},
            b"\x80\1" + b"\0" * 64 + b"\0",
        ),
        (
            {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "R",
                    "fields": [{"name": LONG, "type": "int"}],
                },
            },
            b"\x80\1" + b"\2" * 64 + b"\0",
        ),
    ],
    ids=["doubled", "nulls", "enum", "field"],
)
def test_names_that_exceed_the_limit_as_json_stop_the_decoding(schema: Any, payload: bytes) -> None:
    with pytest.raises(ValueTooLargeError, match="more than 10000 bytes as JSON"):
        avro_decoder(registered(schema), max_bytes=10_000)(payload)
    if payload:
        assert len(avro_decoder(registered(schema))(payload)) == 64


EMPTY = {"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]}


@pytest.mark.parametrize(
    "items", ["null", EMPTY, {"type": "fixed", "name": "F", "size": 0}, {"type": "null"}]
)
def test_an_array_whose_items_take_no_bytes_is_refused(items: Any) -> None:
    within = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": ["null", {"type": "array", "items": items}]}],
    }
    with pytest.raises(UnusableSchemaError, match="take no bytes"):
        avro_decoder(registered(within))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "1",
        '"Nope"',
        '{"type": "record"}',
        '{"type": "array"}',
        '{"type": [1]}',
        '{"type": "record", "name": "R", "fields": [5]}',
        "[" * 3000 + "]" * 3000,
        '{"type":' * 2000 + '"int"' + "}" * 2000,
    ],
)
def test_what_is_not_a_schema_is_refused(text: str) -> None:
    with pytest.raises(UnusableSchemaError, match="Avro"):
        avro_decoder(RegisteredSchema("AVRO", text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"type":"record","name":"R","fields":[{"name":"\\ud800","type":"int"}]}', "not Unicode"),
        ('{"type":"fixed","name":"F","size":-1}', "an Avro type of -1 bytes"),
        ('{"type":"fixed","name":"F","size":NaN}', "an Avro type of nan bytes"),
    ],
)
def test_a_schema_whose_values_would_fail_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UnusableSchemaError, match=problem):
        avro_decoder(RegisteredSchema("AVRO", text))


def test_a_decimal_keeps_all_digits_and_one_without_precision_is_bytes() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "scale": 2}
    value = b"\6\1\0\0"
    assert avro_decoder(registered(decimal | {"precision": 3}))(value) == "655.36"
    assert avro_decoder(registered(decimal))(value) == "AQAA"


def test_a_schema_nested_deeper_than_json_may_be_is_refused() -> None:
    schema: Any = "int"
    for _ in range(250):
        schema = {"type": "array", "items": schema}
    with pytest.raises(UnusableSchemaError, match="Avro"):
        avro_decoder(registered(schema))


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ("string", b""),
        ("string", b"\xff" * 20),
        ("string", b"\x09abcd"),
        ("string", b"\x04\xff\xfe"),
        ("int", b"\2\2"),
        (["null", "string"], b"\x0e"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x0e"),
        ({"type": "map", "values": "string"}, b"\x80\xa0\x94\xa5\x8d\x1d"),
        ({"type": "int", "logicalType": "date"}, b"\xfe\xff\xff\xff\x0f"),
        ({"type": "long", "logicalType": "timestamp-millis"}, b"\xff" * 9 + b"\1"),
        ({"type": "string", "logicalType": "uuid"}, b"\6abc"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9}, b"\x90\x4e" + b"\x7f" * 5000),
    ],
)
def test_a_broken_value_is_an_error_of_one_kind(schema: Any, payload: bytes) -> None:
    decode = avro_decoder(registered(schema))
    with pytest.raises(UndecodableValueError):
        decode(payload)


@pytest.mark.parametrize("schema", [QUESTION, CHAIN])
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error_of_one_kind(schema: Any, payload: bytes) -> None:
    decode = avro_decoder(registered(schema, passage=PASSAGE))
    with contextlib.suppress(UndecodableValueError):
        json.dumps(decode(payload), allow_nan=False)
