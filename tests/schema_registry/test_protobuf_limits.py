"""Short Protobuf messages that stand for much memory or long JSON are refused."""

import pytest

from worker.schema_registry.decoding import (
    RegisteredSchema,
    UndecodableValueError,
    ValueTooLargeError,
)
from worker.schema_registry.protobuf import DecodeMessage, protobuf_decoder

FIELDS = " ".join(f"string f{n} = {n + 1};" for n in range(100))
LONG = "x" * 1000
ANY = 'import "google/protobuf/any.proto"; message M { google.protobuf.Any any = 1; int64 n = 2; }'


def decoder(text: str, *, max_bytes: int = 10_000, syntax: str = "proto3") -> DecodeMessage:
    registered = RegisteredSchema("PROTOBUF", f'syntax = "{syntax}"; {text}')
    return protobuf_decoder(registered, max_bytes=max_bytes)


def within(number: int, payload: bytes) -> bytes:
    """A field of bytes, of up to 16,383."""
    size = len(payload)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + payload


def any_of(name: str, payload: bytes) -> bytes:
    return within(1, b"type.googleapis.com/" + name.encode()) + within(2, payload)


@pytest.mark.parametrize(
    "text",
    [
        "message M { repeated W w = 1; } message W { FIELDS }",
        "message M { repeated Between w = 1; } message Between { W w = 15; } message W { FIELDS }",
        "message M { map<int32, W> w = 1; } message W { FIELDS }",
        "message M { repeated group W = 1 { FIELDS } }",
    ],
    ids=["message", "nested", "map", "group"],
)
def test_memory_of_messages_is_counted_before_they_are_parsed(text: str) -> None:
    one = {"Between": b"\x0a\2\x7a\0", "map": b"\x0a\4\x08\1\x12\0", "group": b"\x0b\x0c"}
    value = next((value for name, value in one.items() if name in text), b"\x0a\0")
    decode = decoder(
        text.replace("FIELDS", FIELDS), syntax="proto2" if "group" in text else "proto3"
    )
    assert decode((0,), b"\x38\1" + value)
    with pytest.raises(ValueTooLargeError, match="more than 640000 bytes of memory"):
        decode((0,), b"\x38\1" + value * 1000)
    # What is broken is the parser's to refuse.
    with pytest.raises(UndecodableValueError, match="parsing"):
        decode((0,), value * 300 + b"\x0f" * 1000)


def test_a_large_message_of_a_wide_type_is_read() -> None:
    decode = decoder(f"message M {{ repeated W w = 1; }} message W {{ {FIELDS} }}")
    value = b"".join(within(1, within(2, b"text" * 400)) for _ in range(5))
    assert decode((0,), value) == {"w": [{"f1": "text" * 400}] * 5}


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        (f"message M {{ repeated N n = 1; }} message N {{ int32 {LONG} = 1; }}", b"\x0a\2\x08\1"),
        (f"message M {{ repeated E e = 1; }} enum E {{ {LONG} = 0; }}", b"\x08\0"),
    ],
    ids=["field", "enum"],
)
def test_names_that_exceed_the_limit_as_json_stop_the_decoding(text: str, payload: bytes) -> None:
    decode = decoder(text)
    assert LONG in str(decode((0,), payload * 2))
    with pytest.raises(ValueTooLargeError, match="more than 10000 bytes as JSON"):
        decode((0,), payload * 11)


def test_any_has_its_type_beside_the_fields() -> None:
    decode = decoder(ANY)
    assert decode((0,), within(1, any_of("M", b"\x10\5"))) == {
        "any": {"@type": "type.googleapis.com/M", "n": 5}
    }
    assert decode((0,), within(1, any_of("Nope", b"a"))) == {
        "any": {"@type": "type.googleapis.com/Nope", "value": "YQ=="}
    }


def test_any_within_any_has_a_limit_of_depth() -> None:
    decode = decoder(ANY)
    value = b""
    for _ in range(20):
        value = within(1, any_of("M", value))
    assert decode((0,), value)
    with pytest.raises(UndecodableValueError, match="nested too deeply"):
        decode((0,), within(1, any_of("M", value)))


def test_messages_within_any_have_the_depth_of_json_at_most() -> None:
    chain = 'import "google/protobuf/any.proto"; message M { google.protobuf.Any a = 1; M m = 2; }'
    decode = decoder(chain)
    value = b""
    for _ in range(3):
        for _ in range(70):
            value = within(2, value)
        value = within(1, any_of("M", value))
    with pytest.raises(UndecodableValueError, match="nested too deeply"):
        decode((0,), value)


@pytest.mark.parametrize("payload", [b"\n\2\xff\xfe", b"\n\3\xed\xa0\x80"])
def test_a_text_of_proto2_that_is_not_utf_8_is_an_error(payload: bytes) -> None:
    with pytest.raises(UndecodableValueError, match="not UTF-8"):
        decoder("message M { optional string a = 1; }", syntax="proto2")((0,), payload)


def test_a_missing_field_is_named_without_the_others() -> None:
    text = f"message M {{ repeated N n = 1; }} message N {{ required int32 {LONG} = 1; }}"
    with pytest.raises(UndecodableValueError, match=r"fields are missing: n\.xxx"):
        decoder(text, max_bytes=1_000_000, syntax="proto2")((0,), b"\n\0" * 100_000)


def test_a_message_that_only_has_the_name_of_googles_is_read_as_it_is() -> None:
    text = (
        "package google.protobuf; message M { Timestamp t = 1; } message Timestamp { bool a = 1; }"
    )
    assert decoder(text)((0,), b"\n\2\x08\1") == {"t": {"a": True}}


def test_googles_messages_have_their_forms_in_json() -> None:
    imports = "".join(
        f'import "google/protobuf/{name}.proto"; ' for name in ("wrappers", "type", "any", "empty")
    )
    decode = decoder(
        f"""{imports} message M {{ google.protobuf.Int64Value n = 1; google.protobuf.Type t = 2;
        google.protobuf.Any any = 3; google.protobuf.Empty none = 4; }}"""
    )
    assert decode((0,), b"\n\2\x08\5\x22\0") == {"n": 5, "none": {}}
    option = within(1, b"o") + within(2, any_of("Nope", b"a"))
    assert decode((0,), within(2, within(4, option))) == {
        "t": {
            "options": [
                {"name": "o", "value": {"@type": "type.googleapis.com/Nope", "value": "YQ=="}}
            ]
        }
    }
    wrapped = any_of("google.protobuf.Int64Value", b"\x08\5")
    assert decode((0,), within(3, wrapped)) == {
        "any": {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": 5}
    }
