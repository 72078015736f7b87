"""The forms in which a record names its schema."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schema_registry.framing import (
    VALUE_SCHEMA_ID,
    Frame,
    FramingError,
    frame_prefix,
    read_frame,
)

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
IDS = st.integers(0, 2**32 - 1)


@given(IDS, st.binary())
def test_an_id_stands_before_the_value(schema_id: int, payload: bytes) -> None:
    frame = read_frame(frame_prefix(schema_id) + payload, [])
    assert frame == Frame(schema_id, None, payload)


@given(IDS, st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9), st.binary())
def test_message_indexes_follow_the_id(schema_id: int, indexes: list[int], payload: bytes) -> None:
    frame = read_frame(frame_prefix(schema_id, indexes) + payload, [])
    assert frame is not None
    assert frame.message_indexes() == (tuple(indexes), payload)


def test_the_first_message_has_a_form_of_one_byte() -> None:
    assert frame_prefix(7, [0]) == b"\0\0\0\0\7\0"


def test_a_guid_stands_before_the_value() -> None:
    assert read_frame(b"\1" + GUID.bytes + b"x", []) == Frame(GUID, None, b"x")


def test_a_header_counts_before_the_prefix_and_leaves_the_value_whole() -> None:
    value = frame_prefix(5) + b"x"
    headers = [("other", b""), (VALUE_SCHEMA_ID, b"\1" + GUID.bytes + b"\0")]
    frame = read_frame(value, headers)
    assert frame == Frame(GUID, b"\0", value)
    assert frame.message_indexes() == ((0,), value)


@pytest.mark.parametrize("value", [b"", b'{"id": 1}', b" {", b"\xef\xbb\xbf{", b"\2\0\0\0\1"])
def test_other_values_name_no_schema(value: bytes) -> None:
    assert read_frame(value, []) is None


@pytest.mark.parametrize(
    ("value", "headers", "problem"),
    [
        (b"\0\0\0", [], "the value's prefix has 2 of 4 bytes of a schema's id"),
        (b"\1\0\0", [], "the value's prefix has 2 of 16 bytes of a schema's id"),
        (b"{}", [(VALUE_SCHEMA_ID, b"\0\0")], f"header {VALUE_SCHEMA_ID} has 1 of 4 bytes"),
        (b"{}", [(VALUE_SCHEMA_ID, b"7")], f"header {VALUE_SCHEMA_ID} begins with 37"),
        (b"{}", [(VALUE_SCHEMA_ID, None)], f"header {VALUE_SCHEMA_ID} begins with nothing"),
    ],
)
def test_a_broken_reference_is_named(
    value: bytes, headers: list[tuple[str, bytes | None]], problem: str
) -> None:
    with pytest.raises(FramingError, match=problem):
        read_frame(value, headers)


@pytest.mark.parametrize(
    ("indexes", "problem"),
    [
        (b"", "cut off"),
        (b"\x02", "cut off"),
        (b"\x80\x80", "cut off"),
        (b"\xff\xff\xff\xff\xff\xff", "more than 32 bits"),
        (b"\x01", "-1 message indexes"),
        (b"\xfe\xff\x7f", "message indexes"),
    ],
)
def test_broken_message_indexes_are_named(indexes: bytes, problem: str) -> None:
    frame = read_frame(frame_prefix(1) + indexes, [])
    assert frame is not None
    with pytest.raises(FramingError, match=problem):
        frame.message_indexes()


@given(st.binary(), st.lists(st.tuples(st.just(VALUE_SCHEMA_ID), st.binary()), max_size=1))
def test_any_bytes_are_a_frame_or_a_framing_error(
    value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    try:
        frame = read_frame(value, headers)
        if frame is not None:
            frame.message_indexes()
    except FramingError:
        pass
