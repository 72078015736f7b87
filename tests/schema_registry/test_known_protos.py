"""The files that Confluent's serializers never register are those that its clients have."""

from typing import Any

import pytest
from confluent_kafka.schema_registry.common.protobuf import _init_pool
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from worker.schema_registry.decoding import RegisteredSchema
from worker.schema_registry.known_protos import KNOWN_PROTOS
from worker.schema_registry.proto_text import parse_proto
from worker.schema_registry.protobuf import GOOGLE_FILES, protobuf_decoder

CONFLUENTS = DescriptorPool()
_init_pool(CONFLUENTS)


def described(file: FileDescriptor) -> Any:
    """The messages with their fields, and the enums with their values."""
    return {
        **{name: _fields(each) for name, each in file.message_types_by_name.items()},
        **{
            name: {value.name: value.number for value in each.values}
            for name, each in file.enum_types_by_name.items()
        },
    }


def _fields(message: Any) -> dict[str, Any]:
    return {
        field.name: (field.number, field.type, field.is_repeated, _type_name(field))
        for field in message.fields
    }


def _type_name(field: FieldDescriptor) -> str | None:
    of = field.message_type or field.enum_type
    return None if of is None else str(of.full_name)


@pytest.mark.parametrize("name", KNOWN_PROTOS)
def test_a_known_file_is_the_clients(name: str) -> None:
    pool = DescriptorPool()
    for file in GOOGLE_FILES.values():
        pool.AddSerializedFile(file.serialized_pb)
    for each in ("confluent/type/decimal.proto", name):
        pool.Add(parse_proto(KNOWN_PROTOS[each], each))
    assert described(pool.FindFileByName(name)) == described(CONFLUENTS.FindFileByName(name))


def test_a_schema_imports_what_no_registry_has() -> None:
    text = """
    syntax = "proto3";
    import "confluent/types/decimal.proto";
    import "google/protobuf/api.proto";
    import "google/type/datetime.proto";
    import "google/type/money.proto";
    message Ask {
      google.type.Money price = 1;
      google.type.DateTime asked_at = 2;
      confluent.type.Decimal exact = 3;
    }
    """
    pool = DescriptorPool()
    _init_pool(pool)
    pool.Add(parse_proto(text, "ask.proto"))
    ask: Message = GetMessageClass(pool.FindMessageTypeByName("Ask"))(
        price={"currency_code": "SEK", "units": 12},
        asked_at={"year": 2024, "time_zone": {"id": "UTC"}},
        exact={"value": b"\x01", "scale": 2},
    )
    assert protobuf_decoder(RegisteredSchema("PROTOBUF", text))((0,), ask.SerializeToString()) == {
        "price": {"currency_code": "SEK", "units": 12},
        "asked_at": {"year": 2024, "time_zone": {"id": "UTC"}},
        "exact": {"value": "AQ==", "scale": 2},
    }
