"""Random Avro, JSON Schema and Protobuf schemas and framed values of them, from a seed.

Half of the values are questions of the published schemas, the others are of random schemas; two in
three are mutated: cut off, with bytes that are changed, repeated or put in, or in another framing.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import fastavro

from schemas.generate.files import PUBLISHED
from schemas.rejection import Header
from tests.inference.fuzz import triples
from tests.schema_registry.fitting_values import encode, parsed, parses, question
from worker.schema_registry.decoding import RegisteredSchema
from worker.schema_registry.framing import VALUE_SCHEMA_ID, frame_prefix
from worker.schema_registry.protobuf import message_classes

_WORDS = ("question", "context", "contexts", "text", "id", "metadata", "options", "a", "é", "x")
_AVRO = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_LOGICAL = (
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "local-timestamp-millis"),
    ("long", "time-micros"),
    ("string", "uuid"),
    ("bytes", "decimal"),
)
_PROTO = ("int32", "sint64", "fixed32", "double", "float", "bool", "string", "bytes", "uint64")
_GOOGLE = ("Timestamp", "Duration", "Struct", "Value", "Any", "FieldMask", "StringValue", "Empty")
_FILES = ("timestamp", "duration", "struct", "any", "field_mask", "wrappers", "empty")


@dataclass
class Schema:
    """A schema and payloads that were encoded with it."""

    number: int
    registered: RegisteredSchema
    payloads: Sequence[bytes]

    @cached_property
    def guid(self) -> UUID:
        return UUID(int=self.number << 64)


class RandomValues:
    """The schemas are made at once; `values` yields records' values and headers."""

    def __init__(self, seed: int, *, schemas: int = 60, questions: int = 200) -> None:
        self._random = random.Random(seed)
        self._names = 0
        self.schemas: list[Schema] = []
        asked = [document for text in triples(questions, seed) if (document := parsed(text))]
        self._add_published(asked)
        published = len(self.schemas)
        while len(self.schemas) < published + schemas:
            self._add_random()
        self._published = self.schemas[:published]

    def values(self, count: int) -> Iterator[tuple[bytes, list[Header]]]:
        for _ in range(count):
            schema = self._random.choice(self._random.choice((self._published, self.schemas)))
            payload = self._random.choice(schema.payloads)
            if self._random.random() < 0.67:
                payload = self._mutated(payload)
            value, headers = self._framed(schema, payload)
            if self._random.random() < 0.05:
                value = self._mutated(value)
            yield value, headers

    def _framed(self, schema: Schema, payload: bytes) -> tuple[bytes, list[Header]]:
        number = schema.number if self._random.random() < 0.98 else self._random.randrange(2**32)
        by_guid = b"\1" + schema.guid.bytes
        prefix = self._random.choice((frame_prefix(number), by_guid))
        indexes = b""
        if schema.registered.kind == "PROTOBUF":
            indexes = self._random.choice((b"\0", b"\0", b"\0", b"\2\0", b"\2\2", b"\4\0\0", b"\3"))
        if self._random.random() < 0.5:
            return prefix + indexes + payload, []
        header = prefix + indexes
        if self._random.random() < 0.05:
            header = self._mutated(header)
        return payload, [(VALUE_SCHEMA_ID, header)]

    def _mutated(self, data: bytes) -> bytes:
        mutated = bytearray(data)
        for _ in range(self._random.randint(1, 3)):
            place = self._random.randint(0, len(mutated))
            end = min(len(mutated), place + self._random.choice((1, 2, 5, 20)))
            match self._random.randrange(6):
                case 0:
                    del mutated[place:]
                case 1:
                    del mutated[place:end]
                case 2:
                    mutated[place:end] = self._random.randbytes(end - place)
                case 3:
                    mutated[place:place] = mutated[place:end] * self._random.choice((1, 3, 200))
                case 4:
                    numbers = (b"\xff" * 9 + b"\1", b"\xff\xff\xff\xff\x0f", b"\1", b"\x80\x80\1")
                    mutated[place:place] = self._random.choice(numbers)
                case 5:
                    mutated[place:end] = bytes([self._random.randrange(256)]) * (end - place)
        return bytes(mutated)

    def _add(self, kind: str, text: str, payloads: Sequence[bytes]) -> None:
        registered = RegisteredSchema(kind, text)
        self.schemas.append(Schema(len(self.schemas) + 1, registered, payloads or [b""]))

    def _add_published(self, asked: Sequence[dict[str, Any]]) -> None:
        texts = [json.dumps(each).encode() for each in asked]
        self._add("JSON", (PUBLISHED / "question.schema.json").read_text(), texts)
        avsc = (PUBLISHED / "question.avsc").read_text()
        self._add("AVRO", avsc, list(encode(fastavro.parse_schema(json.loads(avsc)), asked)))
        proto = (PUBLISHED / "question.proto").read_text()
        of = message_classes(proto)[0]
        self._add("PROTOBUF", proto, [question(of, each) for each in asked])

    def _add_random(self) -> None:
        if self._random.random() < 0.5:
            schema = self._record(4)
            parsed = fastavro.parse_schema(schema)
            values = [self._avro_value(schema, {}, 6) for _ in range(10)]
            self._add("AVRO", json.dumps(schema), list(encode(parsed, values)))
            return
        text = self._proto_file()
        of = message_classes(text)[0]
        self._add("PROTOBUF", text, [self._message(of(), 5) for _ in range(10)])

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _record(self, depth: int) -> dict[str, Any]:
        name = self._name("R")
        names = self._random.sample([word for word in _WORDS if word.isascii()], 4)
        fields = [{"name": each, "type": self._avro(depth - 1)} for each in names]
        if self._random.random() < 0.4:  # a record that contains itself
            part = self._random.choice((["null", name], {"type": "array", "items": name}))
            fields.append({"name": "next", "type": part})
        return {"type": "record", "name": name, "fields": fields}

    def _avro(self, depth: int) -> Any:
        kind = self._random.randrange(8) if depth > 0 else 0
        match kind:
            case 1:
                return {"type": "array", "items": self._avro(depth - 1)}
            case 2:
                return {"type": "map", "values": self._avro(depth - 1)}
            case 3:
                return ["null", self._record(depth - 1), "string"]
            case 4:
                symbols = ["A", "B", "LONG" * 20]
                return {"type": "enum", "name": self._name("E"), "symbols": symbols}
            case 5:
                size = self._random.choice((0, 1, 12, 16))
                return {"type": "fixed", "name": self._name("F"), "size": size}
            case 6:
                of, logical_type = self._random.choice(_LOGICAL)
                return {"type": of, "logicalType": logical_type, "precision": 9, "scale": 2}
            case 7:
                return self._record(depth - 1)
        return self._random.choice(_AVRO)

    def _avro_value(self, schema: Any, named: dict[str, Any], depth: int) -> Any:
        """A value as the type without its logical type takes it."""
        if isinstance(schema, list):
            return self._avro_value(schema[0 if depth <= 0 else -1], named, depth)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind in named:
            return self._avro_value(named[kind], named, depth - 1)
        match kind:
            case "record":
                named[schema["name"]] = schema
                return {
                    field["name"]: self._avro_value(field["type"], named, depth - 1)
                    for field in schema["fields"]
                }
            case "array":
                count = self._random.randrange(4) if depth > 0 else 0
                return [self._avro_value(schema["items"], named, depth - 1) for _ in range(count)]
            case "map":
                count = self._random.randrange(4) if depth > 0 else 0
                return {
                    self._text(): self._avro_value(schema["values"], named, depth - 1)
                    for _ in range(count)
                }
            case "enum":
                return self._random.choice(schema["symbols"])
            case "fixed":
                return self._random.randbytes(schema["size"])
            case "null":
                return None
            case "boolean":
                return self._random.random() < 0.5
            case "int" | "long":
                bits = 31 if kind == "int" else 63
                return self._random.randrange(-(2**bits), 2**bits) >> self._random.randrange(bits)
            case "float" | "double":
                return self._random.choice((0.5, -0.0, float("nan"), float("inf"), 1e30))
            case "bytes":
                return self._random.randbytes(self._random.randrange(20))
        return self._text()

    def _text(self) -> str:
        return "".join(self._random.choices("aé京🐛 \0\u2028", k=self._random.randrange(30)))

    def _proto_file(self) -> str:
        imports = "".join(f'import "google/protobuf/{name}.proto"; ' for name in _FILES)
        names = [self._name("M") for _ in range(3)]
        messages = " ".join(self._proto_message(name, names) for name in names)
        return f'syntax = "proto3"; {imports} enum E {{ A = 0; B = 5; }} {messages}'

    def _proto_message(self, name: str, names: Sequence[str]) -> str:
        fields = []
        for number, word in enumerate(filter(str.isascii, _WORDS), 1):
            of = self._random.choice(
                (*_PROTO, "E", *names, *(f"google.protobuf.{each}" for each in _GOOGLE))
            )
            label = self._random.choice(("", "", "repeated ", "optional ", "map"))
            of = f"map<string, {of}>" if label == "map" else label + of
            fields.append(f"{of} {word} = {number};")
        return f"message {name} {{ {' '.join(fields)} }}"

    def _message(self, message: Any, depth: int) -> bytes:
        """Fields of random bytes that the parser takes, field by field."""
        data = b""
        for field in message.DESCRIPTOR.fields:
            for _ in range(self._random.randrange(3) if depth > 0 else 0):
                part = self._proto_field(field.number, depth)
                if parses(type(message), part):
                    data += part
        return data

    def _proto_field(self, number: int, depth: int) -> bytes:
        wire_type = self._random.choice((0, 1, 2, 2, 2, 5))
        tag = bytes([number << 3 | wire_type])
        match wire_type:
            case 0:
                return tag + self._random.choice((b"\0", b"\1", b"\xff" * 9 + b"\1", b"\x05"))
            case 1:
                return tag + self._random.randbytes(8)
            case 5:
                return tag + self._random.randbytes(4)
        inner = self._text().encode()
        if self._random.random() < 0.7 and depth > 0:
            numbers = self._random.choices(range(1, 10), k=3)
            inner = b"".join(self._proto_field(each, depth - 2) for each in numbers)
        size = len(inner)
        length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
        return tag + length + inner
