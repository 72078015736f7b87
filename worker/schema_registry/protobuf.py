"""Decodes Protobuf values by the schema of their file. Pure; no generated code.

A schema is the text of a `.proto` file, or the Base64 of its `FileDescriptorProto`, which Python
serializers of Confluent register.
"""

import base64
import binascii
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from worker.schema_registry.decoding import (
    MAX_DECODED_BYTES,
    RegisteredSchema,
    UnusableSchemaError,
)
from worker.schema_registry.framing import FramingError
from worker.schema_registry.known_protos import KNOWN_PROTOS
from worker.schema_registry.proto_text import parse_proto
from worker.schema_registry.protobuf_values import MessageReader

_FILE = "qa-worker/value.proto"
"""The name of a schema's own file; those that it imports have the names of its references."""

GOOGLE_FILES = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (
        any_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
        type_pb2,  # it imports some of the above, and the next one imports it
        api_pb2,
    )
}
"""Google's files, which every schema may import and no registry has to have."""

DecodeMessage = Callable[[Sequence[int], bytes], Any]
"""Takes the message indexes and the message."""


def protobuf_decoder(
    registered: RegisteredSchema, *, max_bytes: int = MAX_DECODED_BYTES
) -> DecodeMessage:
    """`max_bytes` limits a message as JSON. Raises `UnusableSchemaError`."""
    pool = _pool(registered)
    top = _messages(pool)
    reader = MessageReader(pool, GOOGLE_FILES, max_bytes)

    def decode(indexes: Sequence[int], payload: bytes) -> Any:
        return reader.read(_message_at(top, indexes), payload)

    return decode


def message_names(registered: RegisteredSchema) -> Callable[[Sequence[int]], str]:
    """From message indexes to the message's name, with its package. It raises `FramingError` if the
    file has no such message.

    Raises `UnusableSchemaError`.
    """
    top = _messages(_pool(registered))
    return lambda indexes: str(_message_at(top, indexes).full_name)


def message_classes(text: str) -> list[type[Message]]:
    """The messages of a file that imports none but Google's, in its order."""
    return [
        message_factory.GetMessageClass(descriptor)
        for descriptor in _messages(_pool(RegisteredSchema("PROTOBUF", text)))
    ]


def _messages(pool: DescriptorPool) -> list[Descriptor]:
    """The messages of the schema's own file that are not within others."""
    return list(pool.FindFileByName(_FILE).message_types_by_name.values())


def _pool(registered: RegisteredSchema) -> DescriptorPool:
    pool = DescriptorPool()
    files = {**registered.references, _FILE: registered.text}
    try:
        for name, text in files.items():
            if name not in GOOGLE_FILES:
                file_descriptor = _file_descriptor(text, name)
                _check_maps(file_descriptor.message_type)
                _add_known(pool, file_descriptor, files)
                pool.Add(file_descriptor)
    except UnusableSchemaError:
        raise
    except Exception as error:
        # The pool raises TypeError and KeyError with a text that names the type or the file.
        line = " ".join(str(error).split())[:200]
        raise UnusableSchemaError(f"not a Protobuf schema: {line}") from None
    return pool


def _add_known(
    pool: DescriptorPool, importing: FileDescriptorProto, registered: Container[str]
) -> None:
    """Adds the files that no registry has to have, as `importing` needs them.

    To add the same file again does nothing.
    """
    for name in importing.dependency:
        if name in GOOGLE_FILES:
            # Not all of them, needed or not: they take 150 kB in each pool.
            _add_google(pool, GOOGLE_FILES[name])
        elif name in KNOWN_PROTOS and name not in registered:
            file_descriptor = parse_proto(KNOWN_PROTOS[name], name)
            _add_known(pool, file_descriptor, registered)
            pool.Add(file_descriptor)


def _add_google(pool: DescriptorPool, file: FileDescriptor) -> None:
    for each in file.dependencies:
        _add_google(pool, each)
    pool.AddSerializedFile(file.serialized_pb)


def _file_descriptor(text: str, name: str) -> FileDescriptorProto:
    try:
        data = base64.b64decode(text, validate=True)
        descriptor = FileDescriptorProto.FromString(data)
    except (binascii.Error, DecodeError, ValueError):
        return parse_proto(text, name)
    descriptor.name = name
    return descriptor


def _check_maps(messages: Iterable[DescriptorProto]) -> None:
    """The pool accepts an entry of a map with fields of any name.

    Raises `UnusableSchemaError` for one whose fields are not the key and the value.
    """
    for message in messages:
        if message.options.map_entry:
            fields = {(field.number, field.name) for field in message.field}
            if fields != {(1, "key"), (2, "value")}:
                raise UnusableSchemaError(f"{message.name} is not the entry of a map")
        _check_maps(message.nested_type)


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
