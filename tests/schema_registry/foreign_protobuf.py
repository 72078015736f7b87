"""A question by a Protobuf schema of a company that knows no question event: see
`foreign_schemas.py`.
"""

from typing import Any
from uuid import UUID

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from tests.schema_registry.foreign_schemas import CONTEXT, QUESTION, ForeignSchema
from worker.schema_registry.proto_text import parse_proto
from worker.schema_registry.protobuf import GOOGLE_FILES

PROTOBUF = ForeignSchema(
    text="""syntax = "proto3";
package acme;

import "acme/person.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

message Ping {}

message Ask {
  message Query {
    string text = 1;
  }
  enum Language {
    LANGUAGE_UNSPECIFIED = 0;
    SV = 1;
  }
  message Attributes {
    google.protobuf.Timestamp asked_at = 1;
    google.protobuf.Duration patience = 2;
    google.protobuf.StringValue nickname = 3;
    google.protobuf.Struct extra = 4;
    bytes checksum = 5;
    Language language = 6;
    repeated string tags = 7;
    map<string, int64> counts = 8;
    oneof note {
      int32 number = 9;
      string text = 10;
    }
    optional bool urgent = 11;
    Person author = 12;
    uint64 size = 13;
    float ratio = 14;
  }
  string key = 1;
  Query query = 2;
  string body = 3;
  Attributes attributes = 4;
}

// Java does not count the entries of the map among the messages of Envelope, Python does.
message Envelope {
  map<string, string> trace = 1;

  message Ask {
    string key = 1;
    acme.Ask.Query query = 2;
    string body = 3;
    acme.Ask.Attributes attributes = 4;
  }
}
""",
    person="""syntax = "proto3";
package acme;

message Person {
  string name = 1;
  Person boss = 2;
}
""",
    person_name="acme/person.proto",
)

PROTOBUF_METADATA: dict[str, Any] = {
    "asked_at": "2024-05-01T12:00:00.250Z",
    "patience": "1.500s",
    "nickname": "anna",
    "extra": {"list": [1.5, None, "x"]},
    "checksum": "AP8=",
    "language": "SV",
    "tags": ["a", "b"],
    "counts": {"reads": 2**53 - 1},
    "text": "short",
    "urgent": False,
    "author": {"name": "Anna", "boss": {"name": "Ida"}},
    "size": 12,
    "ratio": 0.5,
}


def protobuf_value(key: UUID, message_name: str) -> Message:
    """An `acme.Ask`, or an `acme.Envelope.Ask`, which is nested."""
    pool = descriptor_pool.DescriptorPool()
    for file in GOOGLE_FILES.values():
        pool.AddSerializedFile(file.serialized_pb)
    pool.Add(parse_proto(PROTOBUF.person, PROTOBUF.person_name))
    pool.Add(parse_proto(PROTOBUF.text, "acme/ask.proto"))
    message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(message_name))(
        key=str(key), query={"text": QUESTION}, body=CONTEXT
    )
    attributes = message.attributes
    attributes.asked_at.FromJsonString(PROTOBUF_METADATA["asked_at"])
    attributes.patience.FromJsonString(PROTOBUF_METADATA["patience"])
    attributes.nickname.value = "anna"
    attributes.extra.update(PROTOBUF_METADATA["extra"])
    attributes.checksum = b"\x00\xff"
    attributes.language = 1
    attributes.tags.extend(["a", "b"])
    attributes.counts["reads"] = 2**53 - 1
    attributes.text = "short"
    attributes.urgent = False
    attributes.author.name = "Anna"
    attributes.author.boss.name = "Ida"
    attributes.size = 12
    attributes.ratio = 0.5
    return message
