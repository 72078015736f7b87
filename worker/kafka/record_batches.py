"""Record batches of a fetch, read so that one bad record or batch hides no other. Pure.

A record that cannot be decoded is an `UndecodableFields`, and its neighbours are read; a batch that
cannot be read ends with an `UnreadableBatchError`.

The format: https://kafka.apache.org/documentation/#messageformat
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecord, DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from schemas.rejection import Header
from worker.kafka.decompression import BrokenDataError, TooLargeError, decompress
from worker.kafka.field_reader import FieldReader

Batch = Any
"""aiokafka's DefaultRecordBatch (format 2) or LegacyRecordBatch, of which it has two
implementations without a common type."""

_HEADER = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES = struct.Struct(">h")
_ATTRIBUTES_AT = struct.calcsize(">qiibI")
_BEFORE_LENGTH = struct.Struct(">qi")
_SMALLEST_BATCH = 26
"""Bytes of the smallest message set (magic 0)."""
_MAGIC_AT = 16
_LATEST_MAGIC = 2
_CODEC_MASK = 0x07
_LOG_APPEND_TIME = 0x08


CORRUPT_AT_BROKER = b"CORRUPT_MESSAGE"
"""In the place of records that the broker answers with this error; shorter than any batch."""


class BatchHeader(NamedTuple):
    """The fields before the records of a batch of format 2, in their order."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1


class UnreadableBatchError(Exception):
    """A batch, or the rest of one, cannot be read. `detail` is one line that says why."""

    def __init__(
        self, detail: str, next_offset: int | None = None, *, too_large: bool = False
    ) -> None:
        """`next_offset` follows the batch; None if its header cannot be trusted."""
        super().__init__(detail)
        self.detail = detail
        self.next_offset = next_offset
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class UndecodableFields:
    """What could be read of a record that cannot be decoded."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    detail: str


class MessageSet:
    """The records of one partition in a response to Fetch.

    Stands in for aiokafka's `MemoryRecords`, whose two methods it has.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        return bool(self._data)

    def batches(self) -> Iterator[bytes]:
        """Each complete batch. A batch that the response cuts off is read by the next fetch.

        Raises `UnreadableBatchError` if the first batch is cut off, since no fetch would be
        complete, or if a batch states an impossible length.
        """
        if self._data == CORRUPT_AT_BROKER:
            raise UnreadableBatchError("its broker cannot read it (CORRUPT_MESSAGE)")
        data, at = memoryview(self._data), 0
        while at + _BEFORE_LENGTH.size <= len(data):
            _, length = _BEFORE_LENGTH.unpack_from(data, at)
            end = at + _BEFORE_LENGTH.size + length
            if end < at + _SMALLEST_BATCH:
                raise UnreadableBatchError(f"it states a length of {length} bytes")
            if end > len(data):
                break
            yield bytes(data[at:end])
            at = end
        if at == 0 and data:
            raise UnreadableBatchError(f"it is cut off after {len(data)} bytes")


def open_batch(raw: bytes) -> Batch:
    """The batch, whose records are not read yet. Raises `UnreadableBatchError`."""
    magic = raw[_MAGIC_AT]
    if magic > _LATEST_MAGIC:
        raise UnreadableBatchError(f"its format {magic} is unknown")
    if magic == _LATEST_MAGIC and len(raw) < _HEADER.size:
        raise UnreadableBatchError(f"it has only {len(raw)} bytes")
    batch: Batch = MemoryRecords(raw).next_batch()
    if not batch.validate_crc():
        raise UnreadableBatchError("its CRC is wrong", _untrusted_next_offset(raw))
    return batch


def _untrusted_next_offset(raw: bytes) -> int | None:
    """Where a batch with a wrong CRC ends: what its header says, if two of its fields agree."""
    if len(raw) < _HEADER.size:
        return None
    header = BatchHeader(*_HEADER.unpack_from(raw))
    consistent = (
        header.magic == _LATEST_MAGIC and header.records == header.last_offset_delta + 1 > 0
    )
    return header.next_offset if consistent else None


def decompressed(raw: bytes, batch: Batch, limit: int) -> bytes:
    """The batch with its records uncompressed, as far as aiokafka does not do it.

    `limit` bounds the size of the records in bytes: no more is ever decompressed. Raises
    `UnreadableBatchError`.
    """
    if isinstance(batch, LegacyRecordBatch):
        return raw
    header = BatchHeader(*_HEADER.unpack_from(raw))
    codec = header.attributes & _CODEC_MASK
    if not codec:
        return raw
    try:
        records = decompress(codec, memoryview(raw)[_HEADER.size :], limit)
    except TooLargeError:
        raise UnreadableBatchError(
            f"its {len(raw)} bytes decompress to more than {limit} (QA_MAX_BATCH_BYTES)",
            header.next_offset,
            too_large=True,
        ) from None
    except BrokenDataError as error:
        raise UnreadableBatchError(f"its {error}", header.next_offset) from error
    attributes = _ATTRIBUTES.pack(header.attributes & ~_CODEC_MASK)
    after = _ATTRIBUTES_AT + _ATTRIBUTES.size
    return b"".join((raw[:_ATTRIBUTES_AT], attributes, raw[after : _HEADER.size], records))


def read_records(
    plain: bytes, batch: Batch, first: int
) -> Iterator[DefaultRecord | UndecodableFields]:
    """The records of a batch from offset `first` on. `plain` is its result of `decompressed`.

    Raises `UnreadableBatchError`.
    """
    if isinstance(batch, LegacyRecordBatch):
        yield from _read_legacy(batch, first)
        return
    position, previous, end = first, batch.base_offset - 1, batch.next_offset
    try:
        for record in DefaultRecordBatch(plain):
            if not previous < record.offset < end:
                raise ValueError("the record states an offset of another")
            previous = record.offset
            # A fetch from the middle of a batch returns all of it.
            if record.offset >= position:
                position = record.offset + 1
                yield record
    except Exception:
        # aiokafka raises errors of many types, without a position. The slow reader finds both.
        yield from _read_slowly(plain, position)


def _read_legacy(batch: LegacyRecordBatch, first: int) -> Iterator[DefaultRecord]:
    """Formats 0 and 1. Brokers since 0.11 convert what producers send to format 2."""
    try:
        for record in batch:
            if record.offset >= first:
                yield record
    except Exception as error:
        raise UnreadableBatchError(
            f"its records of format 0 or 1 are malformed: {error}"
        ) from error


def _read_slowly(plain: bytes, first: int) -> Iterator[DefaultRecord | UndecodableFields]:
    """As `read_records`, for a batch with a record that aiokafka cannot decode."""
    header = BatchHeader(*_HEADER.unpack_from(plain))
    reader, previous = FieldReader(memoryview(plain), _HEADER.size), header.base_offset - 1
    for number in range(header.records):
        if previous + 1 >= header.next_offset:
            return
        try:
            body = reader.take(reader.varint())
        except ValueError as error:
            detail = f"its record {number + 1} of {header.records} {error}"
            raise UnreadableBatchError(detail, header.next_offset) from None
        record = _read_record(body, header, previous + 1)
        previous = record.offset
        if record.offset >= first:
            yield record
    if not reader.at_end and previous + 1 < header.next_offset:
        detail = f"it has more bytes than the {header.records} records that it states"
        raise UnreadableBatchError(detail, header.next_offset)


def _read_record(
    body: memoryview, header: BatchHeader, expected: int
) -> DefaultRecord | UndecodableFields:
    """`expected` is the record's offset if its own cannot be read."""
    append_time = header.attributes & _LOG_APPEND_TIME
    offset, timestamp = expected, header.max_timestamp
    key = value = None
    headers: list[Header] = []
    detail = ""
    reader = FieldReader(body)
    try:
        reader.take(1)  # attributes, unused
        delta = reader.varint()
        if not append_time:
            timestamp = header.base_timestamp + delta
        stated = header.base_offset + reader.varint()
        if not expected <= stated < header.next_offset:
            raise ValueError(f"states offset {stated}")
        offset = stated
        key = reader.bytes()
        value = reader.bytes()
        for _ in range(reader.count()):
            name = bytes(reader.take(reader.varint()))
            text = reader.bytes()
            try:
                headers.append((name.decode(), text))
            except UnicodeDecodeError:
                headers.append((name.decode("utf-8", "backslashreplace"), text))
                detail = detail or f"the name of header {len(headers)} is not UTF-8: {name[:100]!r}"
        if not reader.at_end:
            raise ValueError("has bytes after its last header")
    except ValueError as error:
        detail = f"the record {error}"
    if detail:
        return UndecodableFields(offset, timestamp, key, value, tuple(headers), detail)
    return DefaultRecord(offset, timestamp, int(bool(append_time)), key, value, headers)
