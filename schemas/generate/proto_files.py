"""`.proto` files of the events, from the pydantic models.

One file for each event, with the event as its only message and all others within it: tools that
know a subject's schema only take the first message, and a subject gets a new version only if its
own event has changed.
"""

import re
import textwrap
from collections.abc import Iterator

from pydantic import BaseModel

from schemas import Answer, Embedding, Question, Text
from schemas.answer import ModelInfo, Source, Span
from schemas.generate.model_fields import ModelField, model_fields
from schemas.question import Passage, ReadingOptions

EVENTS: dict[type[BaseModel], tuple[type[BaseModel], ...]] = {
    Question: (Passage, ReadingOptions),
    Text: (),
    Answer: (Span, ModelInfo, Source),
    Embedding: (ModelInfo, Source),
}
"""Events, with the messages within each. Only ever add to the end: Confluent's serializers name a
message by its index."""

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
"""Fields of the messages: the first has the number 1. Only ever add to the end: a number means its
field for ever."""

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


def proto_files() -> dict[str, str]:
    """Event's name in lower case, to the text of its file."""
    return {event.__name__.lower(): proto_file(event) for event in EVENTS}


def proto_file(event: type[BaseModel]) -> str:
    """The file of one event. Raises `KeyError` for a field without a number."""
    return _HEAD + "".join(_message(event, EVENTS[event]))


def _message(model: type[BaseModel], within: tuple[type[BaseModel], ...] = ()) -> Iterator[str]:
    summary = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    yield from _comment(summary)
    yield f"message {model.__name__} {{\n"
    for each in within:
        yield from (f"  {line}" for line in _message(each))
        yield "\n"
    numbers = {name: number for number, name in enumerate(NUMBERS[model], 1)}
    for field in sorted(model_fields(model), key=lambda field: numbers[field.name]):
        yield from (f"  {line}" for line in _comment(field.description))
        yield f"  {_declare(field)} = {numbers[field.name]};\n"
    yield "}\n"


def _comment(text: str) -> Iterator[str]:
    return (f"// {line}\n" for line in textwrap.wrap(text, 92))


def _declare(field: ModelField) -> str:
    of = _TYPES.get(field.of) or re.sub(r"\W", "", field.of.__name__)
    if field.is_list:
        return f"repeated {'float' if of == 'double' else of} {field.name}"
    # Without presence, 0 and the empty text would mean that the field is missing.
    presence = "optional " if field.is_nullable and field.of in _TYPES else ""
    return f"{presence}{of} {field.name}"
