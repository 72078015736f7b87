"""Outcomes as the answer cache stores them: compact, without what belongs to one record. Pure.

As JSON an answer takes a tenth of the memory of its objects. Its floats are written as the shortest
text that reads back as the same float, so an outcome that was stored is equal to the bit.
"""

from typing import Any, cast

import pydantic_core

from schemas.answer import Answer, ModelInfo
from schemas.embedding import Embedding
from schemas.event import Event
from schemas.question import Question
from worker.inference.result import R

_OWN = {
    "id": True,
    "metadata": True,
    "source": True,
    "model": True,
    "context_id": True,
    "answers": {"__all__": {"context_id": True}},
}
"""The fields that are not stored: those of the record, and the model, which is always the same."""


def store(outcome: Answer | Embedding) -> bytes:
    """The outcome without the fields of its record."""
    return outcome.model_dump_json(exclude=cast("Any", _OWN)).encode()


def restore(stored: bytes, event: Event[R], model: ModelInfo) -> R:
    """The outcome for `event`, with its id, its metadata and the ids of its passages."""
    fields = pydantic_core.from_json(stored)
    fields |= {"id": event.id or "", "metadata": event.metadata, "model": model}
    if not isinstance(event, Question):
        return cast("R", Embedding.model_validate(fields))
    passages = event.passages
    for span in (fields, *fields["answers"]):
        index = span["context_index"]
        span["context_id"] = None if index is None else passages[index].id
    return cast("R", Answer.model_validate(fields))
