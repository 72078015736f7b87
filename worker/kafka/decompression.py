"""Decompresses the records of a batch, into at most a given number of bytes. Pure.

A batch of 1 MB can decompress to gigabytes. aiokafka decompresses it whole before it looks at it.
"""

import struct
from collections.abc import Callable

import cramjam
from aiokafka.record.default_records import DefaultRecordBatch

_INTO: dict[int, tuple[str, Callable[[memoryview, bytearray], int]]] = {
    DefaultRecordBatch.CODEC_GZIP: ("gzip", cramjam.gzip.decompress_into),
    DefaultRecordBatch.CODEC_LZ4: ("lz4", cramjam.lz4.decompress_into),
    DefaultRecordBatch.CODEC_ZSTD: ("zstd", cramjam.zstd.decompress_into),
}

_FULL = "failed to write whole buffer"
"""In the error of a decompressor whose output does not fit (Rust's `Write::write_all`)."""

_FIRST_BYTES = 64 * 1024
_GUESSED_RATIO = 8
_GROWTH = 4

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


class TooLargeError(Exception):
    """The data decompresses to more than the limit."""


class BrokenDataError(Exception):
    """The data does not decompress; one line that says why."""


def decompress(codec: int, data: memoryview, limit: int) -> memoryview:
    """`data`, compressed with a codec of Kafka's record batches (1 to 4).

    Never holds more than `limit` bytes of output. Raises `TooLargeError`, `BrokenDataError`.
    """
    if codec == DefaultRecordBatch.CODEC_SNAPPY:
        return _snappy(data, limit)
    if codec not in _INTO:
        raise BrokenDataError(f"compression codec {codec} is unknown")
    name, into = _INTO[codec]
    size = min(limit, max(_FIRST_BYTES, _GUESSED_RATIO * len(data)))
    while True:
        buffer = bytearray(size)
        try:
            return memoryview(buffer)[: into(data, buffer)]
        except cramjam.DecompressionError as error:
            if _FULL not in str(error):
                raise BrokenDataError(f"{name} data does not decompress: {error}") from error
        if size == limit:
            raise TooLargeError
        del buffer  # before the next one is allocated
        size = min(limit, _GROWTH * size)


def _snappy(data: memoryview, limit: int) -> memoryview:
    """Raw snappy (librdkafka), or blocks in xerial's framing (Java)."""
    if bytes(data[: len(_XERIAL)]) != _XERIAL:
        return memoryview(_snappy_block(data, limit))
    out = bytearray()
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        if at + 4 > len(data):
            raise BrokenDataError("snappy data does not decompress: it ends in a block's length")
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 <= size <= len(data) - at:
            left = len(data) - at
            reason = f"it states a block of {size} bytes where {left} are left"
            raise BrokenDataError(f"snappy data does not decompress: {reason}")
        out += _snappy_block(data[at : at + size], limit - len(out))
        at += size
    return memoryview(out)


def _snappy_block(data: memoryview, limit: int) -> bytes:
    try:
        if cramjam.snappy.decompress_raw_len(data) > limit:
            raise TooLargeError
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise BrokenDataError(f"snappy data does not decompress: {error}") from error
