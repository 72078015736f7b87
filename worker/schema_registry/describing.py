"""Values with a registered schema for people, and for programs that read answers: decoded, with the
name of their schema, and without waiting for a registry that does not answer.

The worker itself reads questions with `record_values.py`, which waits.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from schemas.rejection import Header, Rejected
from worker.schema_registry.client import RegistryClient
from worker.schema_registry.decoding import RegisteredSchema, UnusableSchemaError
from worker.schema_registry.framing import Frame, FramingError, SchemaRef, read_frame
from worker.schema_registry.opening import registry_client
from worker.schema_registry.protobuf import message_names
from worker.schema_registry.record_values import DecodeFrame, compile_decoder
from worker.schema_registry.responses import RegistryUnavailableError, UnknownSchemaError
from worker.settings import Settings

_FORMATS = {"AVRO": "Avro", "JSON": "JSON Schema", "PROTOBUF": "Protobuf"}


@dataclass(frozen=True, slots=True)
class DescribedValue:
    """A value that names its schema, as far as it could be decoded."""

    schema: SchemaRef | None = None
    """None if the reference itself is malformed."""
    format: str = ""
    name: str = ""
    """The Avro record, the Protobuf message or the title of the JSON Schema; may be empty."""
    document: Any = None
    """The value as JSON has values; None if it could not be decoded."""
    problem: str = ""
    """Why it could not be decoded; one line."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    format: str
    name: Callable[[Frame], str]
    decode: DecodeFrame


class ValueDescriber:
    """Asks for each schema once. `async with ValueDescriber.open(settings) as describer`."""

    def __init__(self, client: RegistryClient, timeout_seconds: float) -> None:
        """`timeout_seconds` for a schema with all that it refers to, from all registries."""
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._compiled: dict[SchemaRef, _Compiled | str] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """`settings` name a registry."""
        seconds = settings.schema_registry.request_timeout_ms / 1000
        async with registry_client(settings) as client:
            yield cls(client, seconds)

    async def describe(
        self, value: bytes | None, headers: Sequence[Header]
    ) -> DescribedValue | None:
        """None if the record names no schema. Raises `RegistryUnavailableError`."""
        if value is None:
            return None
        try:
            frame = read_frame(value, headers)
        except FramingError as error:
            return DescribedValue(problem=str(error))
        if frame is None:
            return None
        described = DescribedValue(frame.schema)
        compiled = await self._get(frame.schema)
        if isinstance(compiled, str):
            return replace(described, problem=compiled)
        described = replace(described, format=compiled.format)
        # Values may be large, and the console shares the worker's event loop.
        return await asyncio.to_thread(_describe, described, compiled, frame)

    async def _get(self, ref: SchemaRef) -> _Compiled | str:
        """What is known of a schema, or why no value can be decoded with it."""
        if ref not in self._compiled:
            self._compiled[ref] = await self._fetch(ref)
        return self._compiled[ref]

    async def _fetch(self, ref: SchemaRef) -> _Compiled | str:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                registered = await self._client.schema(ref)
            return await asyncio.to_thread(_compile, registered)
        except TimeoutError:
            raise RegistryUnavailableError(
                f"no schema within {self._timeout_seconds:g} s (SCHEMA_REGISTRY_REQUEST_TIMEOUT_MS)"
            ) from None
        except UnknownSchemaError as error:
            return f"the registry does not have the schema: {error}"
        except UnusableSchemaError as error:
            return f"the schema cannot be used: {error}"


def _describe(described: DescribedValue, compiled: _Compiled, frame: Frame) -> DescribedValue:
    try:
        described = replace(described, name=compiled.name(frame))
        document = compiled.decode(frame)
    except (FramingError, Rejected) as error:
        return replace(described, problem=str(error))
    return replace(described, document=document)


def _compile(registered: RegisteredSchema) -> _Compiled:
    """Raises `UnusableSchemaError`."""
    decode = compile_decoder(registered)
    if registered.kind == "PROTOBUF":
        names = message_names(registered)
        return _Compiled(
            _FORMATS["PROTOBUF"], lambda frame: names(frame.message_indexes()[0]), decode
        )
    name = _title(registered)
    return _Compiled(_FORMATS[registered.kind], lambda _: name, decode)


def _title(registered: RegisteredSchema) -> str:
    """The name of an Avro schema with its namespace, or the title of a JSON Schema."""
    try:
        schema = json.loads(registered.text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(schema, dict):
        return schema if isinstance(schema, str) else ""
    if registered.kind == "JSON":
        return str(schema.get("title", ""))
    name, namespace = str(schema.get("name", schema.get("type", ""))), schema.get("namespace")
    return name if "." in name or not namespace else f"{namespace}.{name}"
