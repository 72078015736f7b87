"""JSON Schemas of the events and of the dead letters' headers, from the pydantic models."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from schemas import VERSION, Answer, Embedding, ErrorReply, Question, Text
from schemas.generate import header_schemas, samples
from schemas.rejection import Reason, Rejected, dead_letter_headers
from schemas.unsure import unsure_headers

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REGISTRY_DIALECT = "http://json-schema.org/draft-07/schema#"

MODELS: Sequence[tuple[type[BaseModel], JsonSchemaMode]] = (
    (Question, "validation"),
    (Text, "validation"),
    (Answer, "serialization"),
    (Embedding, "serialization"),
    (ErrorReply, "serialization"),
)
"""Events as the worker validates them, outcomes as it serializes them."""


def examples(model: type[BaseModel]) -> list[Schema]:
    """Samples of this model, as JSON."""
    outcomes = {
        Answer: samples.ANSWER,
        Embedding: samples.EMBEDDING,
        ErrorReply: samples.ERROR_REPLY,
    }
    if model in outcomes:
        return [outcomes[model].model_dump(mode="json")]
    return {Question: samples.QUESTIONS, Text: samples.TEXTS}[model]


def dead_letter_example() -> Schema:
    """The headers of a dead letter, by name."""
    rejected = Rejected(Reason.SCHEMA, "question: is blank")
    added = dead_letter_headers(rejected, topic="qa.questions", partition=0, offset=42)
    return {name: (text or b"").decode() for name, text in added}


def unsure_example() -> Schema:
    """The headers that an unsure question gets, by name."""
    added = unsure_headers(samples.ANSWER, topic="qa.questions", partition=0, offset=41, headers=())
    return {name: (text or b"").decode() for name, text in added}


def schemas() -> dict[str, Schema]:
    """File name without `.schema.json`, to schema."""
    files = {
        file_name(model): model.model_json_schema(mode=mode, schema_generator=WithoutTitlesOfFields)
        | {"examples": examples(model)}
        for model, mode in MODELS
    }
    files["dead-letter-headers"] = {
        "title": "DeadLetterHeaders",
        **header_schemas.dead_letter(),
        "examples": [dead_letter_example()],
    }
    files["unsure-headers"] = {
        "title": "UnsureHeaders",
        **header_schemas.unsure(),
        "examples": [unsure_example()],
    }
    return {
        name: {"$schema": DIALECT, "$id": f"urn:qa-worker:{VERSION}:{name}", **schema}
        for name, schema in files.items()
    }


def registry_schemas() -> dict[str, Schema]:
    """The schemas of events and outcomes for a schema registry, by model's name in lower case.

    They differ from the published ones in what the registry's rule BACKWARD needs. A field that a
    later version added is not required: outcomes of older versions do not have it. Objects are
    closed: for an open one, a new field narrows what had been allowed. A question's `oneOf` is left
    out: its closed parts would each refuse the fields that they do not name. The draft is the
    default of Confluent's registry, and the last one with which Apicurio's rules work. They have no
    `$id`: Apicurio resolves references by it, and knows no URN.
    """
    return {
        file_name(model): {"$schema": REGISTRY_DIALECT, **_closed(_without_one_of(model))}
        for model in (Question, Text, Answer, Embedding)
    }


def _without_one_of(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(
        mode="validation",
        ref_template="#/definitions/{model}",
        schema_generator=WithoutTitlesOfFields,
    )
    return {name: part for name, part in schema.items() if name != "oneOf"}


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {"$defs": "definitions"}
    closed = {renamed.get(name, name): _closed(each) for name, each in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed


def file_name(model: type[BaseModel]) -> str:
    """The model's name in lower case, with a hyphen before each word but the first."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", model.__name__).lower()


def components() -> dict[str, Schema]:
    """The same models, for `#/components/schemas` of an AsyncAPI document: name to schema."""
    _, together = models_json_schema(
        list(MODELS),
        ref_template="#/components/schemas/{model}",
        schema_generator=WithoutTitlesOfFields,
    )
    parts: dict[str, Schema] = together["$defs"]
    return parts


class WithoutTitlesOfFields(GenerateJsonSchema):
    """Leaves out titles of fields, which only repeat the fields' names."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False
