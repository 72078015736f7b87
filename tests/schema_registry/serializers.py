"""Confluent's serializers and deserializers for Python, with the questions of `foreign_schemas`."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
    prefix_schema_id_serializer,
    topic_record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import json_format

from schemas.generate.files import PUBLISHED
from schemas.rejection import Header
from tests.schema_registry import foreign_schemas
from tests.schema_registry.foreign_protobuf import (
    PROTOBUF,
    PROTOBUF_METADATA,
    protobuf_value,
)
from tests.schema_registry.foreign_schemas import (
    AVRO,
    AVRO_METADATA,
    JSON_METADATA,
    JSON_SCHEMA,
    ForeignSchema,
)
from worker.schema_registry.framing import VALUE_SCHEMA_ID
from worker.schema_registry.protobuf import message_classes


def guid_prefix_serializer(payload: bytes, _: object, schema_id: Any) -> bytes:
    """The third form that Confluent's deserializers read; their serializers write the other two."""
    return bytes(schema_id.guid_to_bytes() + payload)


ID_PLACES = {
    "id before the value": prefix_schema_id_serializer,
    "GUID before the value": guid_prefix_serializer,
    "GUID in a header": header_schema_id_serializer,
}

METADATA = {
    "avro": AVRO_METADATA,
    "json_schema": JSON_METADATA,
    "protobuf": PROTOBUF_METADATA,
    "protobuf_text": PROTOBUF_METADATA,
}
"""Format of a question to the metadata that its answer has. `protobuf_text`: the registry has the
schema as text, as clients for Java register it, not as Python's descriptor in Base64."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A record's value and headers as Confluent's serializer writes them."""

    format: str
    id_place: str
    key: UUID
    value: bytes
    headers: Sequence[Header]


def serialized_questions(registry_url: str, topic: str) -> Iterator[Asked]:
    """One question for each format and place of the id. Registers the schemas. Blocks."""
    client = SchemaRegistryClient({"url": registry_url})
    for format_ in METADATA:
        for place, serialize_id in ID_PLACES.items():
            key = uuid.uuid4()
            headers: list[Any] = []
            context = SerializationContext(topic, MessageField.VALUE, headers)
            options = {
                "schema.id.serializer": serialize_id,
                # The topic has schemas of several types.
                "subject.name.strategy": topic_record_subject_name_strategy,
            }
            value = _SERIALIZE[format_](client, options, context, key)
            assert (VALUE_SCHEMA_ID in dict(headers)) == (place == "GUID in a header")
            yield Asked(format_, place, key, value, headers)


def _avro(
    client: SchemaRegistryClient, options: dict[str, Any], context: SerializationContext, key: UUID
) -> bytes:
    schema = Schema(AVRO.text, "AVRO", [_person(client, AVRO, "AVRO")])
    serializer = AvroSerializer(client, schema, conf=options)
    return bytes(serializer(foreign_schemas.avro_value(key), context))


def _json_schema(
    client: SchemaRegistryClient, options: dict[str, Any], context: SerializationContext, key: UUID
) -> bytes:
    schema = Schema(JSON_SCHEMA.text, "JSON", [_person(client, JSON_SCHEMA, "JSON")])
    serializer = JSONSerializer(schema, client, conf=options)
    return bytes(serializer(foreign_schemas.json_value(key), context))


def _protobuf(
    client: SchemaRegistryClient, options: dict[str, Any], context: SerializationContext, key: UUID
) -> bytes:
    message = protobuf_value(key, "acme.Envelope.Ask")
    return bytes(ProtobufSerializer(type(message), client, options)(message, context))


def _protobuf_text(
    client: Any, options: dict[str, Any], context: SerializationContext, key: UUID
) -> bytes:
    other = SchemaRegistryClient(client.config())  # `client` would not ask for what it registered
    reference = _person(other, PROTOBUF, "PROTOBUF")
    subject = f"{context.topic}-as-text"
    other.register_schema(subject, Schema(PROTOBUF.text, "PROTOBUF", [reference]))
    options |= {
        "auto.register.schemas": False,
        "use.latest.version": True,
        "subject.name.strategy": lambda *_: subject,
    }
    # With `use.latest.version` the serializer looks for top-level messages only.
    message = protobuf_value(key, "acme.Ask")
    return bytes(ProtobufSerializer(type(message), client, options)(message, context))


_SERIALIZE: dict[str, Callable[..., bytes]] = {
    "avro": _avro,
    "json_schema": _json_schema,
    "protobuf": _protobuf,
    "protobuf_text": _protobuf_text,
}


def _person(
    client: SchemaRegistryClient, schema: ForeignSchema, schema_type: str
) -> SchemaReference:
    subject = f"{schema.person_name}-as-text"
    client.register_schema(subject, Schema(schema.person, schema_type))
    version = client.lookup_schema(subject, Schema(schema.person, schema_type)).version
    return SchemaReference(schema.person_name, subject, version)


def deserialized(registry_url: str, answer_format: str, record: Any) -> dict[str, Any]:
    """The value of an answer as Confluent's deserializer reads it, or as JSON. Blocks."""
    client = SchemaRegistryClient({"url": registry_url})
    context = SerializationContext(record.topic, MessageField.VALUE, list(record.headers))
    document: dict[str, Any]
    match answer_format:
        case "json":
            document = json.loads(record.value)
        case "avro":
            document = AvroDeserializer(client)(record.value, context)
        case "json_schema":
            document = JSONDeserializer(None, schema_registry_client=client)(record.value, context)
        case "protobuf":
            answer, *_ = message_classes((PUBLISHED / "answer.proto").read_text("utf-8"))
            message = ProtobufDeserializer(answer, {}, client)(record.value, context)
            document = json_format.MessageToDict(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
    return document


def expected_metadata(answer_format: str, question_format: str) -> dict[str, Any]:
    """The metadata of the answer to a question."""
    metadata = METADATA[question_format]
    if answer_format != "avro":
        return metadata
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
    }
