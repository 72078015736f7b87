"""The `.proto` file of the events, from the pydantic models."""

import re
import textwrap
from collections.abc import Iterator

from pydantic import BaseModel

from schemas import Answer, Embedding, Question, Text
from schemas.answer import ModelInfo, Source, Span
from schemas.generate.model_fields import ModelField, model_fields
from schemas.question import Passage, ReadingOptions

NUMBERS: dict[type[BaseModel], tuple[str, ...]] = {
    Question: ("id", "question", "context", "contexts", "options", "metadata", "expires_at"),
    Text: ("id", "text", "metadata", "expires_at"),
    Answer: (
        "id",
        "answer",
        "score",
        "start",
        "end",
        "context_index",
        "context_id",
        "answered",
        "answers",
        "offsets",
        "model",
        "windows",
        "source",
        "metadata",
    ),
    Embedding: ("id", "embedding", "dims", "model", "windows", "source", "metadata"),
    Passage: ("id", "text", "score", "metadata"),
    ReadingOptions: (
        "top_k",
        "max_answer_tokens",
        "doc_stride",
        "no_answer",
        "no_answer_threshold",
        "align_to_words",
        "per_context",
        "overlap",
        "retriever_weight",
        "min_score",
        "offsets",
    ),
    Span: ("answer", "score", "start", "end", "context_index", "context_id"),
    ModelInfo: ("name", "revision", "sha256", "precision", "provider"),
    Source: ("topic", "partition", "offset"),
}
"""Messages in the order of the file, with their fields: the first has the number 1. Only ever add
to the end: a number means its field for ever."""

_TYPES = {
    str: "string",
    int: "int64",
    float: "double",
    bool: "bool",
    dict: "google.protobuf.Struct",
}
_HEAD = """\
// Generated from the code by `make generate`
syntax = "proto3";

package qa_worker;

import "google/protobuf/struct.proto";
"""


def proto_file() -> str:
    """The text of the file. Raises `KeyError` for a field without a number."""
    return _HEAD + "".join(f"\n{_message(model)}" for model in NUMBERS)


def _message(model: type[BaseModel]) -> str:
    fields = "".join(_lines(model))
    summary = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    comment = "\n".join(f"// {line}" for line in textwrap.wrap(summary, 96))
    return f"{comment}\nmessage {model.__name__} {{\n{fields}}}\n"


def _lines(model: type[BaseModel]) -> Iterator[str]:
    numbers = {name: number for number, name in enumerate(NUMBERS[model], 1)}
    for field in sorted(model_fields(model), key=lambda field: numbers[field.name]):
        for line in textwrap.wrap(field.description, 94):
            yield f"  // {line}\n"
        yield f"  {_declare(field)} = {numbers[field.name]};\n"


def _declare(field: ModelField) -> str:
    of = _TYPES.get(field.of) or re.sub(r"\W", "", field.of.__name__)
    if field.is_list:
        return f"repeated {'float' if of == 'double' else of} {field.name}"
    # Without presence, 0 and the empty text would mean that the field is missing.
    presence = "optional " if field.is_nullable and field.of in _TYPES else ""
    return f"{presence}{of} {field.name}"
