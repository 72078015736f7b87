"""Decodes Avro values by the writer's schema. Pure.

fastavro's compiled reader recurses on the C stack without a limit: 5,000 bytes of a schema that
contains itself end the process with a segmentation fault, and no exception reports it. Such schemas
are therefore read by fastavro's Python reader, where Python's limit on recursion applies. The
compiled reader reads all others: their values are no deeper than the schema.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import fastavro.schema
from fastavro import _read_py as python_reader

from worker.schema_registry import decoded_size
from worker.schema_registry.avro_conversion import Schema, with_conversions
from worker.schema_registry.decoding import (
    MAX_DECODED_BYTES,
    MAX_DEPTH,
    Decode,
    RegisteredSchema,
    UndecodableValueError,
    UnusableSchemaError,
    is_deeper,
)


def avro_decoder(registered: RegisteredSchema, *, max_bytes: int = MAX_DECODED_BYTES) -> Decode:
    """`max_bytes` limits a value as JSON. Raises `UnusableSchemaError`."""
    named: dict[str, Schema] = {}
    try:
        for text in registered.references.values():
            fastavro.parse_schema(json.loads(text), named_schemas=named, _force=True)
        schema = fastavro.parse_schema(
            json.loads(registered.text), named_schemas=named, _force=True
        )
        structure = _Structure(named)
        structure.check(schema)
        wrapped = with_conversions(schema, named)
    except UnusableSchemaError:
        raise
    except Exception as error:
        # A schema that is not one fails where fastavro uses it, with any error.
        raise UnusableSchemaError(f"not an Avro schema: {_line(error)}") from None
    module = python_reader if structure.is_recursive else fastavro

    def decode(payload: bytes) -> Any:
        data = io.BytesIO(payload)
        decoded_size.start(max_bytes)
        try:
            value = module.schemaless_reader(data, wrapped, None)["value"]
        except UndecodableValueError:
            raise
        except RecursionError:
            raise UndecodableValueError("the value is nested too deeply") from None
        except Exception as error:
            # fastavro has no error of its own for a value: it raises what Python's functions raise
            # that it calls (EOFError, IndexError, UnicodeDecodeError, OverflowError, ...).
            raise UndecodableValueError(
                f"the bytes do not fit the schema ({_line(error)})"
            ) from None
        if rest := len(payload) - data.tell():
            raise UndecodableValueError(f"{rest} bytes follow the value")
        if structure.is_recursive and is_deeper(value, MAX_DEPTH):
            raise UndecodableValueError("the value is nested too deeply")
        return value

    return decode


class _Structure:
    """Walks a schema once: does it contain itself, and may a few bytes stand for a huge value."""

    def __init__(self, named: dict[str, Schema]) -> None:
        self._named = named
        self._open: list[str] = []
        self._checked: set[str] = set()
        self._empty: dict[str, bool] = {}
        self.is_recursive = False

    def check(self, schema: Schema, depth: int = 0) -> None:
        """Raises `UnusableSchemaError`."""
        if depth > MAX_DEPTH:
            raise UnusableSchemaError(f"the Avro schema is nested more than {MAX_DEPTH} deep")
        name = schema if isinstance(schema, str) else _name(schema)
        if name in self._open:
            self.is_recursive = True
            return
        if isinstance(schema, str):
            if schema in self._named:
                self.check(self._named[schema], depth + 1)
            return
        if name in self._checked:
            return
        if name is not None:
            self._open.append(name)
        if isinstance(schema, dict):
            self._check_type(schema)
        for part in _parts(schema):
            self.check(part, depth + 1)
        if name is not None:
            self._open.pop()
            self._checked.add(name)

    def _check_type(self, schema: dict[str, Any]) -> None:
        """Raises `UnusableSchemaError`."""
        match schema["type"]:
            case "array" if self._is_empty(schema["items"]):
                raise UnusableSchemaError(
                    "an Avro array's items take no bytes: a short value would hold any number of "
                    "them"
                )
            case "fixed" if type(schema["size"]) is not int or schema["size"] < 0:
                raise UnusableSchemaError(f"an Avro type of {schema['size']!r:.40} bytes")
            case "record" | "error":
                for field in schema["fields"]:
                    try:
                        field["name"].encode()
                    except UnicodeEncodeError:
                        name = ascii(field["name"])[:40]
                        raise UnusableSchemaError(
                            f"the name of an Avro field is not Unicode text: {name}"
                        ) from None

    def _is_empty(self, schema: Schema) -> bool:
        """Whether values of the schema take no bytes."""
        if isinstance(schema, str):
            named = self._named.get(schema)
            return schema == "null" if named is None else self._is_empty(named)
        if isinstance(schema, list):
            return False  # the number of the branch
        match schema["type"]:
            case "record" | "error":
                name = schema["name"]
                if name not in self._empty:
                    self._empty[name] = False  # a record that contains itself is not
                    self._empty[name] = all(map(self._is_empty, _parts(schema)))
                return self._empty[name]
            case "fixed":
                return not schema["size"]
        return bool(schema["type"] == "null")


def _name(schema: Schema) -> str | None:
    return schema.get("name") if isinstance(schema, dict) else None


def _parts(schema: Schema) -> Iterator[Schema]:
    """The schemas directly within one."""
    if isinstance(schema, list):
        yield from schema
        return
    match schema["type"]:
        case "record" | "error":
            for field in schema["fields"]:
                yield field["type"]
        case "array":
            yield schema["items"]
        case "map":
            yield schema["values"]


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
