"""Of random values those that fit a schema, and their bytes."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import fastavro
from google.protobuf.message import Message


def parses(of: type[Message], data: bytes) -> bool:
    try:
        of.FromString(data)
    except Exception:
        return False
    return True


def parsed(text: bytes) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return document


def encode(schema: Any, documents: Sequence[Any]) -> Iterator[bytes]:
    """Those that fit the schema."""
    for document in documents:
        data = io.BytesIO()
        try:
            fastavro.schemaless_writer(data, _without_logical_types(schema), document)
        except Exception:  # fastavro has no error of its own
            continue
        yield data.getvalue()


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(each) for each in schema]
    if isinstance(schema, dict):
        return {
            name: _without_logical_types(each)
            for name, each in schema.items()
            if name != "logicalType" and not name.startswith("__")
        }
    return schema


def question(of: Any, document: dict[str, Any]) -> bytes:
    message = of()
    for name in ("id", "question", "context"):
        if isinstance(text := document.get(name), str):
            setattr(message, name, text.encode("utf-8", "replace").decode())
    data: bytes = message.SerializeToString()
    return data
