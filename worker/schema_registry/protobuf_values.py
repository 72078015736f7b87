"""Protobuf messages as values of JSON. Pure.

As `json_format.MessageToDict` with the fields' own names, except that 64-bit integers stay numbers
(ProtoJSON makes them texts for JavaScript's sake), and that the value's size is bounded. What has
to be done for a field is found once for each type.
"""

import base64
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from worker.schema_registry import decoded_size
from worker.schema_registry.decoding import MAX_DEPTH, UndecodableValueError, is_deeper
from worker.schema_registry.protobuf_memory import check_memory, message_layout
from worker.schema_registry.values import to_json_value

Convert = Callable[[Any], Any]

_ANY = "google.protobuf.Any"
_JSON_FORMS = {
    f"google.protobuf.{name}"
    for name in ("Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value")
}
"""Messages that have a form of their own in ProtoJSON."""

_WRAPPERS = "google/protobuf/wrappers.proto"
_MAX_ANY_DEPTH = 20
"""Values of google.protobuf.Any within each other; the parser's own limit begins anew in each."""

MEMORY_FACTOR = 64
"""Memory of a parsed message relative to the limit of its size as JSON."""


class MessageReader:
    """Reads messages of the types of one pool."""

    def __init__(self, pool: DescriptorPool, google_files: Iterable[str], max_bytes: int) -> None:
        """`max_bytes` limits a message as JSON."""
        self._pool = pool
        self._google_files = frozenset(google_files)
        self._max_bytes = max_bytes
        self._types: dict[str, _MessageType] = {}

    def read(self, descriptor: Descriptor, payload: bytes) -> Any:
        """The message as JSON has values. Raises `UndecodableValueError`."""
        decoded_size.start(self._max_bytes)
        try:
            value = self.parse(descriptor, payload)
        except UndecodableValueError:
            raise
        except RecursionError:
            raise UndecodableValueError("the message is nested too deeply") from None
        except (DecodeError, json_format.Error, ValueError) as error:
            raise UndecodableValueError(" ".join(str(error).split())[:200]) from None
        if decoded_size.has_nested() and is_deeper(value, MAX_DEPTH):
            raise UndecodableValueError("the message is nested too deeply")
        return value

    def parse(self, descriptor: Descriptor, payload: bytes) -> Any:
        """As `read`, within a value, with the errors of `google.protobuf`."""
        message = self.type(descriptor).parse(payload, MEMORY_FACTOR * self._max_bytes)
        return self.convert(descriptor)(message)

    def type(self, descriptor: Descriptor) -> "_MessageType":
        known = self._types.get(descriptor.full_name)
        if known is None:
            known = self._types[descriptor.full_name] = _MessageType(self, descriptor)
        return known

    def convert(self, descriptor: Descriptor) -> Convert:
        """How messages of the type are converted, wherever they stand."""
        if descriptor.file.name in self._google_files:
            if descriptor.full_name == _ANY:
                return self._read_any
            if descriptor.full_name in _JSON_FORMS:
                return _google_to_json
            if descriptor.file.name == _WRAPPERS:
                return self.type(descriptor).wrapped_to_json
        return self.type(descriptor).to_json

    def _read_any(self, message: Any) -> Any:
        """`@type` beside the message's fields. The bytes, if the schema does not have the type."""
        name = message.type_url.rpartition("/")[2]
        try:
            descriptor = self._pool.FindMessageTypeByName(name)
        except KeyError:
            return {"@type": message.type_url, "value": to_json_value(message.value)}
        with decoded_size.nested(_MAX_ANY_DEPTH):
            value = self.parse(descriptor, message.value)
        decoded_size.count(len(message.type_url))
        if isinstance(value, dict) and descriptor.full_name not in _JSON_FORMS:
            return {"@type": message.type_url, **value}
        return {"@type": message.type_url, "value": value}


class _MessageType:
    """What reading messages of one type needs."""

    def __init__(self, reader: MessageReader, descriptor: Descriptor) -> None:
        self._reader = reader
        self._descriptor = descriptor
        self._class = message_factory.GetMessageClass(descriptor)
        self._layout, self._largest = message_layout(descriptor)
        self._fields: dict[int, tuple[str, int, Convert | None]] = {}

    def parse(self, payload: bytes, max_memory: int) -> Message:
        check_memory(self._layout, self._largest, payload, max_memory)
        message = self._class()
        message.ParseFromString(payload)
        if not message.IsInitialized():
            raise UndecodableValueError(f"fields are missing: {_missing(message)[:200]}")
        return message

    def to_json(self, message: Message) -> Any:
        """The fields that are set."""
        value = {}
        size = len("{}")
        for field, content in message.ListFields():
            known = self._fields.get(field.number)
            if known is None:
                known = self._fields[field.number] = self._field(field)
            name, name_size, convert = known
            size += name_size
            value[name] = content if convert is None else convert(content)
        decoded_size.count(size)
        return value

    def wrapped_to_json(self, message: Any) -> Any:
        """The value of a message that holds one value."""
        convert = self._single(self._descriptor.fields_by_name["value"])
        return message.value if convert is None else convert(message.value)

    def _field(self, field: FieldDescriptor) -> tuple[str, int, Convert | None]:
        name = f"[{field.full_name}]" if field.is_extension else field.name
        return name, len(f'"{name}":,'), self._convert(field)

    def _convert(self, field: FieldDescriptor) -> Convert | None:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            return _map(self._single(entry.fields_by_name["value"]))
        convert = self._single(field)
        if not field.is_repeated:
            return convert
        return list if convert is None else _repeated(convert)

    def _single(self, field: FieldDescriptor) -> Convert | None:
        """The conversion of one value; None if it is one of JSON."""
        if field.message_type is not None:
            return self._reader.convert(field.message_type)
        if field.enum_type is not None:
            return _symbol(field.enum_type)
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return _text
            case FieldDescriptor.TYPE_BYTES:
                return _base64
            case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FLOAT:
                return to_json_value
        return None


def _google_to_json(message: Message) -> Any:
    value = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if isinstance(value, str):  # a time, from no byte
        decoded_size.count(len(value))
    return value


def _repeated(convert: Convert) -> Convert:
    return lambda values: [convert(each) for each in values]


def _map(convert: Convert | None) -> Convert:
    def to_json(entries: Any) -> Any:
        # `entries[key]` is what a map of messages has in place of `items`.
        return {
            _key(key): entries[key] if convert is None else convert(entries[key]) for key in entries
        }

    return to_json


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return str(key).lower() if isinstance(key, bool) else str(key)


def _symbol(enum: EnumDescriptor) -> Convert:
    names = {number: value.name for number, value in enum.values_by_number.items()}

    def to_json(number: int) -> Any:
        name = names.get(number)
        if name is None:
            return number
        decoded_size.count(len(name))
        return name

    return to_json


def _text(value: Any) -> Any:
    if isinstance(value, bytes):  # proto2's parser does not check the encoding
        raise UndecodableValueError("a text is not UTF-8")
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _missing(message: Any) -> str:
    """The names that lead to the first required field that is missing."""
    for field in message.DESCRIPTOR.fields:
        if field.is_required and not message.HasField(field.name):
            return str(field.name)
    for field, content in message.ListFields():
        if field.message_type is None:
            continue
        if not field.is_repeated:
            parts = [content]
        elif field.message_type.GetOptions().map_entry:
            values = field.message_type.fields_by_name["value"].message_type is not None
            parts = [content[key] for key in content] if values else []
        else:
            parts = content
        for part in parts:
            if not part.IsInitialized():
                return f"{field.name}.{_missing(part)}"
    return "in an extension"
