"""One bad record or batch hides no other: what is read of a fetch, without a broker."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kafka.raw_batches import batch, compressed, record, sized, varint, with_wrong_crc
from worker.kafka.record_batches import (
    MessageSet,
    UndecodableFields,
    UnreadableBatchError,
    decompressed,
    open_batch,
    read_records,
)

MIB = 1024 * 1024
COMPRESSED = ("gzip", "snappy", "lz4", "zstd")


def read(raw: bytes, first: int = 0, limit: int = MIB) -> list[tuple[int, bytes | None, str]]:
    """Offset, value and what is wrong of each record; of an unreadable rest, where it ends."""
    found: list[tuple[int, bytes | None, str]] = []
    try:
        opened = open_batch(raw)
        for each in read_records(decompressed(raw, opened, limit), opened, first):
            detail = each.detail if isinstance(each, UndecodableFields) else ""
            found.append((each.offset, each.value, detail))
    except UnreadableBatchError as error:
        found.append((-1 if error.next_offset is None else error.next_offset, None, error.detail))
    return found


GOOD = record(0, b"first"), record(2, b"last")

MALFORMED = {
    "header name": (
        record(1, b"v", headers=[(b"na\xffme", b"x")]),
        b"v",
        "the name of header 1 is not UTF-8: b'na\\xffme'",
    ),
    "bytes after the headers": (
        record(1, b"v", tail=b"xyz"),
        b"v",
        "the record has bytes after its last header",
    ),
    "value too long": (
        varint(8) + b"\0" + varint(0) + varint(1) + sized(b"k") + varint(9) + b"v" + b"\0",
        None,
        "the record states a length of 9 where 2 bytes are left",
    ),
    "negative number of headers": (
        varint(8) + b"\0" + varint(0) + varint(1) + sized(b"k") + sized(b"v") + varint(-1),
        b"v",
        "the record states -1 headers",
    ),
    "no end of a number": (
        varint(12) + b"\0" + varint(0) + b"\xff" * 10,
        None,
        "the record has a number of more than 64 bits",
    ),
    "offset of another batch": (
        record(90, b"v"),
        None,
        "the record states offset 90",
    ),
    "empty": (varint(0), None, "the record states a length of 1 where 0 bytes are left"),
}


@pytest.mark.parametrize("codec", ["none", *COMPRESSED])
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_record_hides_none_of_its_batch(what: str, codec: str) -> None:
    malformed, value, detail = MALFORMED[what]
    raw = batch([GOOD[0], malformed, GOOD[1]], codec=codec)
    assert read(raw) == [(0, b"first", ""), (1, value, detail), (2, b"last", "")]
    assert read(raw, first=2) == [(2, b"last", "")]


def test_names_that_are_not_utf8_are_kept_escaped() -> None:
    raw = batch([record(0, b"v", key=b"\xff", headers=[(b"a\xff", b"1"), (b"b", None)])])
    opened = open_batch(raw)
    (found,) = read_records(raw, opened, 0)
    assert isinstance(found, UndecodableFields)
    assert (found.key, found.headers) == (b"\xff", (("a\\xff", b"1"), ("b", None)))


def test_records_that_cannot_be_told_apart_end_the_batch() -> None:
    raw = batch([GOOD[0], varint(-5), GOOD[1]])
    first, rest = read(raw)
    assert first == (0, b"first", "")
    assert rest[:2] == (3, None)
    assert rest[2].startswith("its record 2 of 3 states a length of -5 where")


def test_fewer_and_more_records_than_stated_are_noticed() -> None:
    fewer = batch([record(0, b"a"), record(1, b"b")], count=3)
    assert [each[:2] for each in read(fewer)] == [(0, b"a"), (1, b"b"), (3, None)]
    more = batch([record(0, b"a"), record(1, b"b")], count=-1)
    assert read(more) == [(1, None, "it has more bytes than the -1 records that it states")]


@pytest.mark.parametrize("codec", ["none", *COMPRESSED])
def test_wrong_crc_is_found_before_anything_is_decompressed(codec: str) -> None:
    raw = with_wrong_crc(batch(GOOD, codec=codec, base_offset=7, count=3))
    assert read(raw, first=7) == [(10, None, "its CRC is wrong")]


def test_header_of_wrong_crc_is_believed_only_if_consistent() -> None:
    raw = bytearray(batch(GOOD, count=3))
    struct.pack_into(">i", raw, 23, 1_000_000)  # last offset delta
    assert read(bytes(raw)) == [(-1, None, "its CRC is wrong")]


@pytest.mark.parametrize("codec", COMPRESSED)
def test_data_that_does_not_decompress_ends_the_batch(codec: str) -> None:
    for payload in (b"", b"no such data", compressed(codec, b"x" * 500)[:-3]):
        (found,) = read(batch(GOOD, codec=codec, payload=payload, count=3))
        assert found[:2] == (3, None), payload
        assert found[2].startswith(f"its {codec} data does not decompress"), payload


def test_unknown_codecs_and_formats_are_named() -> None:
    assert read(batch(GOOD, codec="brotli", count=3)) == [
        (3, None, "its compression codec 7 is unknown")
    ]
    raw = bytearray(batch(GOOD))
    raw[16] = 9
    assert read(bytes(raw)) == [(-1, None, "its format 9 is unknown")]


@pytest.mark.parametrize("codec", COMPRESSED)
def test_batch_that_decompresses_to_too_much_is_never_held(codec: str) -> None:
    bomb = batch([record(n, b"a" * MIB) for n in range(20)], codec=codec)
    fits = batch([record(0, b"a" * (3 * MIB))], codec=codec)
    opened = open_batch(bomb)
    tracemalloc.start()
    with pytest.raises(UnreadableBatchError, match=r"QA_MAX_BATCH_BYTES") as caught:
        decompressed(bomb, opened, 4 * MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.too_large
    assert caught.value.next_offset == 20
    assert peak < 6 * MIB
    assert read(fits, limit=4 * MIB) == [(0, b"a" * (3 * MIB), "")]


def test_message_set_names_a_batch_of_impossible_length() -> None:
    first, second = batch(GOOD), batch(GOOD, base_offset=3)
    assert list(MessageSet(first + second[:-9]).batches()) == [first]
    assert list(MessageSet(first + b"\0").batches()) == [first]
    for data in (second[:-9], second[:10], b"\0"):
        with pytest.raises(UnreadableBatchError, match="cut off"):
            list(MessageSet(data).batches())
    for length in (-1, 0, 5, -(2**31)):
        batches = MessageSet(first + struct.pack(">qi", 3, length) + second).batches()
        assert next(batches) == first
        with pytest.raises(UnreadableBatchError, match=f"a length of {length} bytes"):
            next(batches)


@given(st.data())
def test_any_bytes_are_records_or_a_typed_error(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(["none", *COMPRESSED]))
    records = b"".join(record(n, b"value-%d" % n, headers=[(b"h", b"x")]) for n in range(3))
    at = data.draw(st.integers(0, len(records) - 1))
    changed = records[:at] + data.draw(st.binary(max_size=9)) + records[at + 1 :]
    payload = changed
    if codec != "none":
        payload = compressed(codec, changed)
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(payload) - 1))
            payload = payload[:at] + data.draw(st.binary(max_size=5)) + payload[at + 1 :]
    count = data.draw(st.sampled_from([3, 3, 0, -1, 2**31 - 1]))
    found = read(batch([], codec=codec, payload=payload, count=count))
    offsets = [each[0] for each in found]
    assert offsets == sorted(offsets)
