"""Decoded values of Avro and Protobuf as the values that JSON has. Pure."""

import base64
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def to_json_value(value: Any) -> Any:
    """`value` with nothing in it that JSON has not: bytes as Base64, times as RFC 3339 texts,
    decimals and UUIDs as texts. Numbers that are not finite become texts, as in ProtoJSON.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _not_finite(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode("ascii")
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID():
            return str(value)
        case Mapping():
            return {str(name): to_json_value(each) for name, each in value.items()}
        case list() | tuple():
            return [to_json_value(each) for each in value]
    raise TypeError(f"a value of type {type(value).__name__}")


def without_nulls(value: Any) -> Any:
    """An event's document without the fields that are null, except in `metadata`.

    An Avro value has every field of its schema, null for an optional one that is not set; Java's
    serializers of JSON Schema write null for it too. The event's own schema has no null.
    """
    if isinstance(value, dict):
        return {
            name: each if name == "metadata" or isinstance(each, str) else without_nulls(each)
            for name, each in value.items()
            if each is not None
        }
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def _not_finite(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
