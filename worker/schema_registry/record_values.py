"""Values with a registered schema as JSON, for the way that every record takes.

The event's own checks then read them: limits of numbers, texts and nesting are those of JSON.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pydantic_core

from schemas.rejection import Reason, Rejected
from worker.kafka.records import InputRecord
from worker.schema_registry.avro import avro_decoder
from worker.schema_registry.decoding import (
    MAX_DECODED_BYTES,
    RegisteredSchema,
    UndecodableValueError,
    UnusableSchemaError,
    ValueTooLargeError,
)
from worker.schema_registry.field_mapping import FieldMapping
from worker.schema_registry.framing import Frame, FramingError, read_frame
from worker.schema_registry.protobuf import protobuf_decoder
from worker.schema_registry.responses import UnknownSchemaError
from worker.schema_registry.schema_store import SchemaStore
from worker.schema_registry.values import without_nulls

INLINE_BYTES = 8 * 1024
"""Values up to this size are decoded on the event loop: in about a tenth of a millisecond if most
of it is text, in at most 20 ms if it is a list of timestamps or of a schema that contains itself.
"""

DecodeFrame = Callable[[Frame], Any]
"""The value of a frame as JSON has values. Raises `Rejected`."""


class RecordValueReader:
    """One for a worker."""

    def __init__(
        self, store: SchemaStore[DecodeFrame], mapping: FieldMapping, decoders: Executor
    ) -> None:
        """`store` compiles with `compile_decoder`; `decoders` runs what is too large for a loop."""
        self._store = store
        self._mapping = mapping
        self._decoders = decoders

    @property
    def unavailable(self) -> str | None:
        """Why the registry cannot be asked, while a record waits for it."""
        return self._store.unavailable

    async def read(self, record: InputRecord, wait: AbstractContextManager[None]) -> InputRecord:
        """The record with its value as JSON; the record itself if it names no schema.

        Within `wait` it waits for the registry, without a deadline. Raises `Rejected`.
        """
        if record.value is None or record.undecodable is not None:
            return record
        try:
            frame = read_frame(record.value, record.headers)
            if frame is None:
                return record
            decode = self._store.known(frame.schema)
            if decode is None:
                with wait:
                    decode = await self._store.get(frame.schema)
        except (FramingError, UnknownSchemaError) as error:
            raise Rejected(Reason.SCHEMA_UNKNOWN, str(error)) from None
        except UnusableSchemaError as error:
            raise Rejected(Reason.SCHEMA_UNUSABLE, str(error)) from None
        if len(frame.payload) <= INLINE_BYTES:
            return replace(record, value=self._to_json(decode, frame))
        loop = asyncio.get_running_loop()
        value = await loop.run_in_executor(self._decoders, self._to_json, decode, frame)
        return replace(record, value=value)

    def _to_json(self, decode: DecodeFrame, frame: Frame) -> bytes:
        if decode is _json and not self._mapping.paths and b"null" not in frame.payload:
            return frame.payload  # the event's own checks read it
        return pydantic_core.to_json(without_nulls(self._mapping.apply(decode(frame))))


def compile_decoder(
    registered: RegisteredSchema, *, max_bytes: int = MAX_DECODED_BYTES
) -> DecodeFrame:
    """`max_bytes` limits a value as JSON. Raises `UnusableSchemaError`."""
    match registered.kind:
        case "AVRO":
            return _avro(registered, max_bytes)
        case "PROTOBUF":
            return _protobuf(registered, max_bytes)
        case "JSON":
            return _json
    raise UnusableSchemaError(f"a schema of type {registered.kind:.40}")


def _avro(registered: RegisteredSchema, max_bytes: int) -> DecodeFrame:
    decode_payload = avro_decoder(registered, max_bytes=max_bytes)

    def decode(frame: Frame) -> Any:
        try:
            return decode_payload(frame.payload)
        except UndecodableValueError as error:
            raise _rejection(error, Reason.NOT_AVRO) from None

    return decode


def _protobuf(registered: RegisteredSchema, max_bytes: int) -> DecodeFrame:
    decode_message = protobuf_decoder(registered, max_bytes=max_bytes)

    def decode(frame: Frame) -> Any:
        try:
            return decode_message(*frame.message_indexes())
        except FramingError as error:
            raise Rejected(Reason.NOT_PROTOBUF, str(error)) from None
        except UndecodableValueError as error:
            raise _rejection(error, Reason.NOT_PROTOBUF) from None

    return decode


def _rejection(error: UndecodableValueError, reason: Reason) -> Rejected:
    too_large = isinstance(error, ValueTooLargeError)
    return Rejected(Reason.RECORD_TOO_LARGE if too_large else reason, str(error))


def _json(frame: Frame) -> Any:
    try:
        return pydantic_core.from_json(frame.payload, allow_inf_nan=False)
    except ValueError as error:
        raise Rejected(Reason.NOT_JSON, str(error)) from None
