"""Protobuf values become values of JSON, from the text of a `.proto` file or its descriptor."""

import base64
import contextlib
import json
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from worker.schema_registry.decoding import (
    RegisteredSchema,
    UndecodableValueError,
    UnusableSchemaError,
)
from worker.schema_registry.framing import FramingError
from worker.schema_registry.proto_text import parse_proto
from worker.schema_registry.protobuf import GOOGLE_FILES, protobuf_decoder

PASSAGES = 'syntax = "proto3"; package acme; message Passage { string text = 1; }'
QUESTION = """
syntax = "proto3";
package acme.v1;

import "acme/passages.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";

option java_package = "com.acme";

// A comment.
message Header { string id = 1; }

message Question {
  string question = 1;
  optional string context = 200;
  repeated Passage contexts = 3;
  map<string, int64> labels = 4;
  oneof target { int64 tenant = 5; Nested nested = 6; }
  Kind kind = 7;
  google.protobuf.Timestamp expires_at = 8;
  google.protobuf.Struct metadata = 9;
  bytes raw = 10;
  double score = 11;
  repeated int32 numbers = 12 [packed = false];
  optional int32 top_k = 13;
  map<bool, Nested> by_flag = 14;
  reserved 15, 20 to 30;
  enum Kind { ASK = 0; TELL = 1; }
  message Nested { string name = 1; message Deeper { string name = 1; } }
}

service Answers { rpc Ask (Question) returns (Header); }
"""
REFERENCES = {"acme/passages.proto": PASSAGES}
REGISTERED = RegisteredSchema("PROTOBUF", QUESTION, REFERENCES)


def message(type_name: str, **fields: Any) -> Message:
    pool = descriptor_pool.DescriptorPool()
    for file in GOOGLE_FILES.values():
        pool.AddSerializedFile(file.serialized_pb)
    pool.Add(parse_proto(PASSAGES, "acme/passages.proto"))
    pool.Add(parse_proto(QUESTION, "question.proto"))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(type_name))(**fields)


def test_fields_become_json_by_their_names() -> None:
    asked: Any = message(
        "acme.v1.Question",
        question="Who?",
        kind=1,
        raw=b"\0\xff",
        top_k=0,
        numbers=[1, 2],
        tenant=2**60,
    )
    asked.context = ""
    asked.contexts.add(text="Ada wrote it.")
    asked.labels["tenant"] = 2**53 + 1
    asked.expires_at.FromJsonString("2026-11-26T08:00:00Z")
    asked.metadata["tags"] = ["a", 1.5, None]
    asked.score = float("nan")
    asked.by_flag[True].name = "yes"
    decode = protobuf_decoder(REGISTERED)
    assert decode((1,), asked.SerializeToString()) == {
        "question": "Who?",
        "context": "",
        "contexts": [{"text": "Ada wrote it."}],
        "labels": {"tenant": 2**53 + 1},
        "tenant": 2**60,
        "kind": "TELL",
        "expires_at": "2026-11-26T08:00:00Z",
        "metadata": {"tags": ["a", 1.5, None]},
        "raw": "AP8=",
        "score": "NaN",
        "numbers": [1, 2],
        "top_k": 0,
        "by_flag": {"true": {"name": "yes"}},
    }


def test_a_nested_message_is_named_by_its_path() -> None:
    decode = protobuf_decoder(REGISTERED)
    named = message("acme.v1.Question.Nested.Deeper", name="x").SerializeToString()
    assert decode((1, 0, 0), named) == {"name": "x"}


@pytest.mark.parametrize("indexes", [(2,), (-1,), (1, 5), (0, 0), (1, 0, 0, 0)])
def test_a_message_that_the_file_has_not_is_an_error(indexes: tuple[int, ...]) -> None:
    with pytest.raises(FramingError, match="has no message"):
        protobuf_decoder(REGISTERED)(indexes, b"")


def test_a_registered_descriptor_is_read() -> None:
    descriptor = parse_proto(QUESTION, "any.proto")
    text = base64.b64encode(descriptor.SerializeToString()).decode()
    decode = protobuf_decoder(RegisteredSchema("PROTOBUF", text, REFERENCES))
    assert decode((0,), b"\n\1a") == {"id": "a"}


def test_proto2_groups_and_required_fields_are_read() -> None:
    text = """
    message M { required string a = 1; extensions 100 to 199;
      optional group G = 3 { optional int32 b = 1; } }
    extend M { optional int32 y = 126; }
    """
    decode = protobuf_decoder(RegisteredSchema("PROTOBUF", text))
    assert decode((0,), b"\n\1x\x1b\x08\5\x1c") == {"a": "x", "g": {"b": 5}}
    with pytest.raises(UndecodableValueError, match="fields are missing: a"):
        decode((0,), b"")


MAP_AS_MESSAGE = """
syntax = "proto3";
message Ask {
  repeated .Ask.LabelsEntry labels = 1;
  message LabelsEntry { option map_entry = true; string key = 1; int32 value = 2; }
  message Inner { string name = 1; }
}
"""


def test_a_map_may_be_written_as_its_message() -> None:
    decode = protobuf_decoder(RegisteredSchema("PROTOBUF", MAP_AS_MESSAGE))
    assert decode((0,), b"\n\x05\n\x01a\x10\x07") == {"labels": {"a": 7}}
    # Such a message counts: Inner is the second one within Ask.
    assert decode((0, 1), b"\n\x01x") == {"name": "x"}


def test_the_entry_of_a_map_has_key_and_value() -> None:
    text = MAP_AS_MESSAGE.replace("value = 2", "count = 2")
    with pytest.raises(UnusableSchemaError, match="LabelsEntry is not the entry of a map"):
        protobuf_decoder(RegisteredSchema("PROTOBUF", text))


def test_the_text_gives_protocs_descriptor() -> None:
    """Google's own files, as protoc compiled them, against their text."""
    text = """
    syntax = "proto3";
    package google.protobuf;
    message Timestamp { int64 seconds = 1; int32 nanos = 2; }
    """
    compiled = FileDescriptorProto()
    GOOGLE_FILES["google/protobuf/timestamp.proto"].CopyToProto(compiled)
    fields = parse_proto(text, "x").message_type[0].field
    ours = [(each.name, each.number, each.type, each.label) for each in fields]
    theirs = [
        (each.name, each.number, each.type, each.label) for each in compiled.message_type[0].field
    ]
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("garbage {", "line 1, column 1"),
        ('syntax = "proto3"; message M { string a = 1 }', "line 1, column 45"),
        ('syntax="proto3"; import "a.proto"; message M {}', "a.proto"),
        ('syntax="proto3"; import "schema.proto"; message M {}', "schema.proto"),
        ('syntax="proto3"; message M { Nope n = 1; }', "Nope"),
        ('syntax="proto3"; message M { string a = 1; string b = 1; }', "duplicate field number"),
        ('edition = "2023"; message M {}', "edition 2023"),
        ("message M {" * 300 + "}" * 300, "nested too deeply"),
        ("// " + "x" * 100_000, "the limit is 100000"),
    ],
)
def test_what_is_not_a_schema_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UnusableSchemaError, match=problem):
        protobuf_decoder(RegisteredSchema("PROTOBUF", text))


@pytest.mark.parametrize("name", ["common.proto", "schema.proto"])
def test_a_referred_file_may_have_any_name(name: str) -> None:
    text = f'syntax = "proto3"; import "{name}"; message Ask {{ Text question = 1; }}'
    referred = {name: 'syntax = "proto3"; message Text { string text = 1; }'}
    decode = protobuf_decoder(RegisteredSchema("PROTOBUF", text, referred))
    assert decode((0,), b"\n\3\n\1x") == {"question": {"text": "x"}}


def test_a_deep_value_is_an_error() -> None:
    decode = protobuf_decoder(
        RegisteredSchema("PROTOBUF", 'syntax="proto3"; message M { M m = 1; }')
    )
    value = b""
    for _ in range(60):
        value = b"\n" + bytes([len(value)]) + value
    assert str(decode((0,), value)).count("m") == 60
    with pytest.raises(UndecodableValueError, match="Error parsing message"):
        decode((0,), deep(200))


def deep(levels: int) -> bytes:
    value = b""
    for _ in range(levels):
        size, length = len(value), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        value = b"\n" + length + bytes([size]) + value
    return value


DECODE = protobuf_decoder(REGISTERED)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error_of_one_kind(payload: bytes) -> None:
    with contextlib.suppress(UndecodableValueError):
        json.dumps(DECODE((1,), payload), allow_nan=False)
