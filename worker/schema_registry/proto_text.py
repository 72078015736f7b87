"""Protobuf's text of a file (`.proto`) to its descriptor. Pure; runs no `protoc`.

A registry stores the text. Confluent's returns a descriptor on request (`format=serialized`);
Apicurio's answer to that is not Base64, and damages bytes above 0x7f, so only the text can be
relied on. `proto_schema_parser` parses it; this module turns its tree into a `FileDescriptorProto`,
with what decoding needs: messages, fields, enums. Services, options and extensions are left out.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from antlr4.error.ErrorListener import ErrorListener
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from proto_schema_parser import ast
from proto_schema_parser.parser import Parser

from worker.schema_registry.decoding import UnusableSchemaError

_TYPES = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "fixed64": FieldDescriptorProto.TYPE_FIXED64,
    "fixed32": FieldDescriptorProto.TYPE_FIXED32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "sfixed32": FieldDescriptorProto.TYPE_SFIXED32,
    "sfixed64": FieldDescriptorProto.TYPE_SFIXED64,
    "sint32": FieldDescriptorProto.TYPE_SINT32,
    "sint64": FieldDescriptorProto.TYPE_SINT64,
}
_LABELS = {
    ast.FieldCardinality.OPTIONAL: FieldDescriptorProto.LABEL_OPTIONAL,
    ast.FieldCardinality.REPEATED: FieldDescriptorProto.LABEL_REPEATED,
    ast.FieldCardinality.REQUIRED: FieldDescriptorProto.LABEL_REQUIRED,
    None: FieldDescriptorProto.LABEL_OPTIONAL,
}

T = TypeVar("T")

MAX_TEXT_BYTES = 100_000
"""The parser reads about 30 kB in a second."""


class _RaiseSyntaxError(ErrorListener):  # type: ignore[misc]  # antlr4 is untyped
    """The parser's own listener prints errors to stderr, and the parser goes on."""

    def syntaxError(  # noqa: N802 - the name is that of antlr4
        self, _recognizer: Any, _symbol: Any, line: int, column: int, message: str, _error: Any
    ) -> None:
        raise UnusableSchemaError(
            f"not a Protobuf schema: line {line}, column {column + 1}: {message[:200]}"
        )


def _raise_errors(recognizer: Any) -> None:
    recognizer.removeErrorListeners()
    recognizer.addErrorListener(_RaiseSyntaxError())


def parse_proto(text: str, name: str) -> FileDescriptorProto:
    """The descriptor of a file with this name. Raises `UnusableSchemaError`.

    Names of types stay as the text has them: the descriptor pool resolves them.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise UnusableSchemaError(
            f"a Protobuf schema of {len(text)} characters; the limit is {MAX_TEXT_BYTES}"
        )
    try:
        file = Parser(setup_lexer=_raise_errors, setup_parser=_raise_errors).parse(text)
    except UnusableSchemaError:
        raise
    except RecursionError:
        raise UnusableSchemaError("the Protobuf schema is nested too deeply") from None
    except Exception as error:
        # The parser has no error of its own.
        line = " ".join(str(error).split())[:200]
        raise UnusableSchemaError(f"not a Protobuf schema: {line}") from None
    if file.edition:
        raise UnusableSchemaError(f"Protobuf edition {file.edition}; proto2 and proto3 are known")
    descriptor = FileDescriptorProto(name=name, syntax=file.syntax or "proto2")
    for element in file.file_elements:
        match element:
            case ast.Package():
                descriptor.package = element.name
            case ast.Import():
                if element.public:
                    descriptor.public_dependency.append(len(descriptor.dependency))
                descriptor.dependency.append(element.name)
            case ast.Message():
                _fill(descriptor.message_type.add(), element.name, element.elements, file.syntax)
            case ast.Enum():
                _fill_enum(descriptor.enum_type.add(), element)
    return descriptor


def _fill(message: DescriptorProto, name: str, elements: Sequence[Any], syntax: str | None) -> None:
    message.name = name
    synthetic: list[FieldDescriptorProto] = []
    entries: list[DescriptorProto] = []
    for element in elements:
        match element:
            case ast.Message():
                _fill(message.nested_type.add(), element.name, element.elements, syntax)
            case ast.Enum():
                _fill_enum(message.enum_type.add(), element)
            case ast.Field():
                field = _add_field(message, element)
                if syntax == "proto3" and element.cardinality is ast.FieldCardinality.OPTIONAL:
                    field.proto3_optional = True
                    synthetic.append(field)
            case ast.MapField():
                entries.append(_add_map(message, element))
            case ast.Group():
                _add_group(message, element, syntax)
            case ast.OneOf():
                index = len(message.oneof_decl)
                message.oneof_decl.add(name=element.name)
                for each in _only(element.elements, ast.Field):
                    _add_field(message, each).oneof_index = index
                for group in _only(element.elements, ast.Group):
                    _add_group(message, group, syntax).oneof_index = index
            case ast.Option(name="map_entry", value=True | "true"):
                # Apicurio's serializer for Java writes a map as the message that it stands for.
                message.options.map_entry = True
            case ast.Option(name="message_set_wire_format"):
                raise UnusableSchemaError("message_set_wire_format is not supported")
    # As protoc does: a field with presence is alone in a oneof, behind those that the text has.
    for field in synthetic:
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{field.name}")
    # Behind the messages that the text has: Confluent's Java serializer, which registers texts,
    # does not count the messages of maps in the message indexes.
    message.nested_type.extend(entries)


def _add_field(message: DescriptorProto, element: ast.Field) -> FieldDescriptorProto:
    field: FieldDescriptorProto = message.field.add(
        name=element.name, number=element.number, label=_LABELS[element.cardinality]
    )
    _set_type(field, element.type)
    for option in _only(element.options, ast.Option):
        if option.name == "packed":
            field.options.packed = option.value in (True, "true")
    return field


def _set_type(field: FieldDescriptorProto, name: str) -> None:
    if name in _TYPES:
        field.type = _TYPES[name]
    else:
        field.type_name = name  # the pool finds out whether it is a message or an enum


def _add_map(message: DescriptorProto, element: ast.MapField) -> DescriptorProto:
    """A map is a repeated message of two fields, by the language's own rule."""
    entry = DescriptorProto(name=f"{_camel(element.name)}Entry")
    entry.options.map_entry = True
    for number, name, of in ((1, "key", element.key_type), (2, "value", element.value_type)):
        field = entry.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        _set_type(field, of)
    message.field.add(
        name=element.name,
        number=element.number,
        label=FieldDescriptorProto.LABEL_REPEATED,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=entry.name,
    )
    return entry


def _add_group(
    message: DescriptorProto, element: ast.Group, syntax: str | None
) -> FieldDescriptorProto:
    _fill(message.nested_type.add(), element.name, element.elements, syntax)
    field: FieldDescriptorProto = message.field.add(
        name=element.name.lower(),
        number=element.number,
        label=_LABELS[element.cardinality],
        type=FieldDescriptorProto.TYPE_GROUP,
        type_name=element.name,
    )
    return field


def _fill_enum(enum: EnumDescriptorProto, element: ast.Enum) -> None:
    enum.name = element.name
    for each in element.elements:
        match each:
            case ast.EnumValue():
                enum.value.add(name=each.name, number=each.number)
            case ast.Option(name="allow_alias"):
                enum.options.allow_alias = each.value in (True, "true")


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _only(elements: Sequence[Any], kind: type[T]) -> Iterator[T]:
    return (each for each in elements if isinstance(each, kind))
