"""Decodes Protobuf values by the schema of their file. Pure; no generated code.

A schema is the text of a `.proto` file, or the Base64 of its `FileDescriptorProto`, which Python
serializers of Confluent register.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError, Message

from worker.schema_registry.decoding import (
    RegisteredSchema,
    UndecodableValueError,
    UnusableSchemaError,
)
from worker.schema_registry.framing import FramingError
from worker.schema_registry.proto_text import parse_proto
from worker.schema_registry.values import to_json_value

_FILE = "schema.proto"
GOOGLE_FILES = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (
        any_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )
}
"""Google's files, which every schema may import and no registry has to have."""

DecodeMessage = Callable[[Sequence[int], bytes], Any]
"""Takes the message indexes and the message."""


def protobuf_decoder(registered: RegisteredSchema) -> DecodeMessage:
    """Raises `UnusableSchemaError`."""
    top = _messages(registered)

    def decode(indexes: Sequence[int], payload: bytes) -> Any:
        descriptor = _message_at(top, indexes)
        message = message_factory.GetMessageClass(descriptor)()
        try:
            message.ParseFromString(payload)
            if missing := message.FindInitializationErrors():
                raise UndecodableValueError(f"fields are missing: {', '.join(missing)[:200]}")
            return _to_dict(message)
        except UndecodableValueError:
            raise
        except (DecodeError, json_format.Error, ValueError) as error:
            raise UndecodableValueError(" ".join(str(error).split())[:200]) from None

    return decode


def message_classes(text: str) -> list[type[Message]]:
    """The messages of a file that imports none but Google's, in its order."""
    return [
        message_factory.GetMessageClass(descriptor)
        for descriptor in _messages(RegisteredSchema("PROTOBUF", text))
    ]


def _messages(registered: RegisteredSchema) -> list[Descriptor]:
    pool = descriptor_pool.DescriptorPool()
    files = {**registered.references, _FILE: registered.text}
    try:
        for file in GOOGLE_FILES.values():
            pool.AddSerializedFile(file.serialized_pb)
        for name, text in files.items():
            if name not in GOOGLE_FILES:
                pool.Add(_file_descriptor(text, name))
        return list(pool.FindFileByName(_FILE).message_types_by_name.values())
    except UnusableSchemaError:
        raise
    except Exception as error:
        # The pool raises TypeError and KeyError with a text that names the type or the file.
        line = " ".join(str(error).split())[:200]
        raise UnusableSchemaError(f"not a Protobuf schema: {line}") from None


def _file_descriptor(text: str, name: str) -> FileDescriptorProto:
    try:
        data = base64.b64decode(text, validate=True)
        descriptor = FileDescriptorProto.FromString(data)
    except (binascii.Error, DecodeError, ValueError):
        return parse_proto(text, name)
    descriptor.name = name
    return descriptor


def _message_at(top: Sequence[Descriptor], indexes: Sequence[int]) -> Descriptor:
    """Raises `FramingError` if the file has no such message."""
    messages = top
    for place, index in enumerate(indexes):
        if not 0 <= index < len(messages):
            named = ".".join(map(str, indexes[: place + 1]))
            raise FramingError(f"the Protobuf schema has no message {named}")
        descriptor = messages[index]
        messages = list(descriptor.nested_types)
    return descriptor


def _to_dict(message: Message) -> Any:
    """The fields that are set, by their names in the schema.

    As `json_format.MessageToDict`, except that 64-bit integers stay numbers: ProtoJSON makes them
    texts for JavaScript's sake. Types of google.protobuf (Timestamp, Struct, ...) have the JSON
    form of ProtoJSON.
    """
    descriptor = message.DESCRIPTOR
    if descriptor.file.name in GOOGLE_FILES:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def _field(field: FieldDescriptor, value: Any) -> Any:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        of = entry.fields_by_name["value"]
        return {_key(key): _single(of, value[key]) for key in value}
    if field.is_repeated:
        return [_single(field, each) for each in value]
    return _single(field, value)


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _to_dict(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return to_json_value(value)
