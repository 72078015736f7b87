"""Where a record names the schema of its value. Pure.

The formats are those of Confluent's serializers ("Wire format" in the documentation of Schema
Registry). Before the value: a zero byte and the schema's id in 4 bytes, or a one and its GUID in 16
bytes. Or in the header `__value_schema_id`, in the same two forms; the value then has no prefix.
With Protobuf a list of message indexes follows the id or the GUID.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.rejection import Header

VALUE_SCHEMA_ID = "__value_schema_id"

_ID, _GUID = 0, 1  # magic bytes
_SIZES = {_ID: 4, _GUID: 16}

SchemaRef = int | UUID
"""A schema's id, or its GUID."""


class FramingError(ValueError):
    """The record names a schema, but not in one of the known forms."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A value and the reference to its schema."""

    schema: SchemaRef
    header: bytes | None
    """The rest of the header that named the schema; None if the value has a prefix."""
    payload: bytes
    """The value without its prefix."""

    def message_indexes(self) -> tuple[tuple[int, ...], bytes]:
        """The message indexes of a Protobuf value, and the message. Raises `FramingError`.

        Index by index, they name a message of the file and then messages within it.
        """
        if self.header is not None:
            indexes, rest = _read_indexes(self.header)
            if rest:
                raise FramingError(f"{len(rest)} bytes follow the message indexes in the header")
            return indexes, self.payload
        return _read_indexes(self.payload)


def read_frame(value: bytes, headers: Sequence[Header]) -> Frame | None:
    """The frame of a record's value, or None if the record names no schema.

    The first header counts, as with Confluent's deserializers. JSON text begins with neither of
    the magic bytes. Raises `FramingError`.
    """
    for name, text in headers:
        if name == VALUE_SCHEMA_ID:
            schema, rest = _read_schema(text or b"", f"header {VALUE_SCHEMA_ID}")
            return Frame(schema, rest, value)
    if value[:1] not in (b"\0", b"\1"):
        return None
    schema, payload = _read_schema(value, "the value's prefix")
    return Frame(schema, None, payload)


def frame_prefix(schema_id: int, message_indexes: Sequence[int] | None = None) -> bytes:
    """What stands before a value; `message_indexes` for Protobuf."""
    prefix = bytes([_ID]) + schema_id.to_bytes(_SIZES[_ID], "big")
    if message_indexes is None:
        return prefix
    if tuple(message_indexes) == (0,):
        return prefix + b"\0"  # the usual list has a form of its own
    numbers = (len(message_indexes), *message_indexes)
    return prefix + b"".join(map(_write_varint, numbers))


def _read_schema(data: bytes, place: str) -> tuple[SchemaRef, bytes]:
    size = _SIZES.get(data[0]) if data else None
    if size is None:
        raise FramingError(f"{place} begins with {data[:1].hex() or 'nothing'}, not with 00 or 01")
    body, rest = data[1 : 1 + size], data[1 + size :]
    if len(body) < size:
        raise FramingError(f"{place} has {len(body)} of {size} bytes of a schema's id")
    return (int.from_bytes(body, "big") if data[0] == _ID else UUID(bytes=body)), rest


MAX_MESSAGE_INDEXES = 64
"""Depth of a nested message: protoc refuses deeper ones."""


def _read_indexes(data: bytes) -> tuple[tuple[int, ...], bytes]:
    count, place = _read_varint(data, 0)
    if count == 0:
        return (0,), data[place:]
    if not 0 < count <= MAX_MESSAGE_INDEXES:
        raise FramingError(f"{count} message indexes")
    indexes = []
    for _ in range(count):
        index, place = _read_varint(data, place)
        indexes.append(index)
    return tuple(indexes), data[place:]


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A zigzag varint of at most 32 bits, and the place behind it."""
    number = 0
    for shift in range(0, 35, 7):
        if place >= len(data):
            raise FramingError("the message indexes are cut off")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1), place
    raise FramingError("a message index has more than 32 bits")


def _write_varint(number: int) -> bytes:
    rest = number << 1
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)
