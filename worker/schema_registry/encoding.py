"""Encodes outcomes as Avro or Protobuf values, by the published schemas. Pure."""

import io
import json
from collections.abc import Callable
from typing import Any

import fastavro
from google.protobuf import json_format

from schemas.event import Outcome
from worker.schema_registry.protobuf import message_classes

Encode = Callable[[Outcome], bytes]


def avro_encoder(schema_text: str) -> Encode:
    """An encoder by the text of an Avro schema of `schemas/published`."""
    schema = fastavro.parse_schema(json.loads(schema_text))

    def encode(outcome: Outcome) -> bytes:
        document = outcome.model_dump(mode="json")
        document["metadata"] = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in document["metadata"].items()
        }
        data = io.BytesIO()
        fastavro.schemaless_writer(data, schema, document)
        return data.getvalue()

    return encode


def protobuf_encoder(schema_text: str, message_index: int) -> Encode:
    """An encoder by the text of the published `.proto` file, for the message at this index."""
    message_class = message_classes(schema_text)[message_index]

    def encode(outcome: Outcome) -> bytes:
        document: dict[str, Any] = outcome.model_dump(mode="json", exclude_none=True)
        # None within metadata is a value.
        document["metadata"] = outcome.metadata
        message = json_format.ParseDict(document, message_class())
        data: bytes = message.SerializeToString(deterministic=True)
        return data

    return encode
