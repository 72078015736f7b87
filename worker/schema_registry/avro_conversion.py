"""Makes fastavro return values of JSON, by a logical type of our own. Pure.

fastavro calls a function for each value whose schema has a logical type that is registered with it
("Custom logical types" in its documentation). Where a value needs a conversion, or where names are
to be counted, the parsed schema gets our logical type and the function. All other values take
fastavro's compiled way.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fastavro.read import LOGICAL_READERS

from worker.schema_registry import decoded_size
from worker.schema_registry.values import to_json_value

Schema = Any
"""A parsed Avro schema: a dict, a list of the union's schemas, or a type's name."""

Convert = Callable[[Any], Any]

_LOGICAL_TYPE, _CONVERT = "qa-worker", "qa_worker_convert"
_TYPES = ("record", "error", "enum", "fixed", "bytes", "string", "int", "long", "float", "double")


def _convert(value: Any, schema: Schema, _reader_schema: Schema = None) -> Any:
    return schema[_CONVERT](value)


for _type in _TYPES:
    LOGICAL_READERS[f"{_type}-{_LOGICAL_TYPE}"] = _convert


def with_conversions(schema: Schema, named: dict[str, Schema]) -> Schema:
    """The schema of a record whose field `value` is of the parsed `schema`, with conversions.

    A record of one field is encoded as the field. Changes `schema` and `named`.
    """
    done: set[int] = set()
    for each in named.values():
        _add(each, done)
    return {
        "type": "record",
        "name": "qa_worker.Value",
        "fields": [{"name": "value", "type": _add(schema, done)}],
        # fastavro parses a schema without these for each value.
        "__fastavro_parsed": True,
        "__named_schemas": named,
    }


def _add(schema: Schema, done: set[int]) -> Schema:
    if isinstance(schema, list):
        return [_add(each, done) for each in schema]
    if isinstance(schema, str):
        convert = _conversion(schema, None, {})
        if convert is None:
            return schema
        return {"type": schema, "logicalType": _LOGICAL_TYPE, _CONVERT: convert}
    if id(schema) in done:
        return schema
    done.add(id(schema))
    match schema["type"]:
        case "record" | "error":
            for field in schema["fields"]:
                field["type"] = _add(field["type"], done)
        case "array":
            schema["items"] = _add(schema["items"], done)
        case "map":
            schema["values"] = _add(schema["values"], done)
    convert = _conversion(schema["type"], schema.pop("logicalType", None), schema)
    if convert is not None:
        schema |= {"logicalType": _LOGICAL_TYPE, _CONVERT: convert}
    return schema


def _conversion(kind: str, logical_type: Any, schema: Schema) -> Convert | None:
    """What to do with a value of the schema; None: nothing."""
    match kind:
        case "record" | "error":
            return _count(_record_size(schema))
        case "enum":
            return _count_symbol
    if logical_type == "decimal":
        # Without its precision it is not a decimal, by Avro's specification.
        if kind in ("bytes", "fixed") and "precision" in schema:
            return _decimal(schema.get("scale", 0))
    elif isinstance(logical_type, str):
        read = LOGICAL_READERS.get(f"{kind}-{logical_type}")
        if read is not None and read is not _convert:
            return _read_and_convert(read, schema)
    return to_json_value if kind in ("bytes", "fixed", "float", "double") else None


def _read_and_convert(read: Callable[..., Any], schema: Schema) -> Convert:
    def convert(value: Any) -> Any:
        converted = to_json_value(read(value, schema, None))
        if isinstance(converted, str):  # from a byte, it may be
            decoded_size.count(len(converted))
        return converted

    return convert


def _count(size: int) -> Convert:
    def convert(record: Any) -> Any:
        decoded_size.count(size)
        return record

    return convert


def _count_symbol(symbol: str) -> str:
    decoded_size.count(len(symbol))
    return symbol


def _record_size(schema: Schema) -> int:
    """Bytes of JSON that a record takes without its fields' values; nulls are counted."""
    size = len("{}")
    for field in schema["fields"]:
        size += len(json.dumps(field["name"])) + len(":,")
        if field["type"] == "null":
            size += len("null")
    return size


def _decimal(scale: int) -> Convert:
    """fastavro's own conversion rounds to the schema's precision, and takes minutes for a
    megabyte. Here Python's limit on digits of an integer's text applies (4,300)."""

    def convert(value: bytes) -> str:
        digits = str(int.from_bytes(value, "big", signed=True))
        return str(Decimal(f"{digits}E-{scale}"))

    return convert
