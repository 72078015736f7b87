"""Avro schemas of the events, from the pydantic models.

Avro has no type for any JSON: metadata is a map of texts. A text in it is the value itself; every
other value is its JSON.
"""

from typing import Any

from pydantic import BaseModel

from schemas import Answer, Embedding, Question, Text
from schemas.generate.model_fields import ModelField, model_fields

NAMESPACE = "qa_worker"
MODELS: tuple[type[BaseModel], ...] = (Question, Text, Answer, Embedding)

_PRIMITIVES = {str: "string", int: "long", float: "double", bool: "boolean"}
_METADATA = {"type": "map", "values": "string"}
_METADATA_DOC = "; here as texts: a string as it is, another value of an outcome as its JSON"


def avro_schemas() -> dict[str, dict[str, Any]]:
    """Model's name in lower case, to schema."""
    return {model.__name__.lower(): avro_schema(model) for model in MODELS}


def avro_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of one model."""
    return {"type": "record", "namespace": NAMESPACE, **_record(model, set())}


def _record(model: type[BaseModel], defined: set[str]) -> dict[str, Any]:
    defined.add(model.__name__)
    return {
        "type": "record",
        "name": model.__name__,
        "doc": " ".join((model.__doc__ or "").split("\n\n")[0].split()),
        "fields": [_field(field, defined) for field in model_fields(model)],
    }


def _field(field: ModelField, defined: set[str]) -> dict[str, Any]:
    of = _type(field, defined)
    if field.is_nullable:
        of = ["null", of]
    described = {"name": field.name, "type": of}
    if field.description:
        described["doc"] = field.description + (_METADATA_DOC if field.of is dict else "")
    if field.has_default:
        # A reader needs it for what an older producer wrote.
        described["default"] = field.default
    return described


def _type(field: ModelField, defined: set[str]) -> Any:
    if field.of is dict:
        return _METADATA
    of: Any = _PRIMITIVES.get(field.of)
    if of is None:
        name = field.of.__name__
        of = name if name in defined else _record(field.of, defined)
    elif field.is_list and of == "double":
        of = "float"  # an embedding's numbers are float32
    return {"type": "array", "items": of} if field.is_list else of
