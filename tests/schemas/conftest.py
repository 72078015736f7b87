"""Builders of events and outcomes for the tests of the schemas."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.answer import Answer, ModelInfo, Source, Span
from schemas.embedding import Embedding
from schemas.envelope import Envelope, decode_event
from schemas.question import Question
from schemas.rejection import Header, Rejected

MAX_BYTES = 100_000


def event(**changes: Any) -> dict[str, Any]:
    """A question event as a producer sends it; a field set to `...` is omitted."""
    fields = {"id": "q-1", "question": "Who wrote it?", "context": "Ada wrote it.", **changes}
    return {name: value for name, value in fields.items() if value is not ...}


def opened(document: Any, headers: Sequence[Header] = ()) -> Envelope[Question]:
    """Decodes a question from a JSON document or from bytes."""
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode_event(Question, value, headers, default_id="topic-0-7", max_bytes=MAX_BYTES)


def verdict(document: Any, headers: Sequence[Header] = ()) -> Rejected:
    """The rejection of a document or of bytes."""
    with pytest.raises(Rejected) as caught:
        opened(document, headers)
    return caught.value


MODEL = ModelInfo(name="m", sha256="0" * 64, precision="int8")
PLACE = Source(topic="qa.questions", partition=0, offset=7)


@pytest.fixture
def embedding() -> Embedding:
    return Embedding(
        id="t-1",
        embedding=[0.1, -2.5e-08, 0.0, 12345679.0],
        dims=4,
        model=MODEL,
        windows=2,
        source=PLACE,
        metadata={"nested": [1, {"deep": None}]},
    )


@pytest.fixture
def answer() -> Answer:
    return Answer(
        id="q-1",
        answer="Ada",
        score=0.75,
        start=0,
        end=3,
        answered=True,
        answers=[Span(answer="Ada", score=0.75, start=0, end=3)],
        model=MODEL,
        windows=1,
        source=PLACE,
        metadata={"nested": [1, {"deep": None}]},
    )
