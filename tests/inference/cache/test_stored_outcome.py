"""A stored outcome comes back equal to the bit, with what belongs to the asking record."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answer import Answer, ModelInfo, Span
from schemas.embedding import Embedding
from schemas.question import Passage, Question
from schemas.text import Text
from worker.inference.cache.stored_outcome import restore, store

MODEL = ModelInfo(name="m", sha256="0" * 64, precision="int8")
SCORES = st.floats(0.0, 1.0)
PASSAGES = [Passage(text="Ada", id="one"), Passage(text="Ada")]
SPANS = st.builds(
    Span,
    answer=st.text(),
    score=SCORES,
    start=st.integers(0, 2**40),
    end=st.integers(0, 2**40),
    context_index=st.sampled_from([None, 0, 1]),
)


def with_ids(span: Span, ids: list[str | None]) -> Span:
    context_id = None if span.context_index is None else ids[span.context_index]
    return span.model_copy(update={"context_id": context_id})


@pytest.mark.long
@given(st.lists(SPANS, min_size=1, max_size=4), st.booleans(), st.sampled_from(["utf16", "bytes"]))
def test_answer_comes_back_with_the_ids_of_its_record(
    spans: list[Span], answered: bool, unit: str
) -> None:
    def answer(event: Question, ids: list[str | None]) -> Answer:
        own = [with_ids(span, ids) for span in spans]
        best = own[0].model_dump()
        return Answer(
            id=event.id or "",
            **best,
            answered=answered,
            answers=own,
            offsets=unit,
            model=MODEL,
            windows=2,
            metadata=event.metadata,
        )

    first = Question(id="1", question="q", contexts=PASSAGES, metadata={"tenant": 1})
    twin = Question(
        id="2", question="q", contexts=[Passage(text="Ada", id=id_) for id_ in ("x", "y")]
    )
    stored = store(answer(first, ["one", None]))

    assert restore(stored, twin, MODEL) == answer(twin, ["x", "y"])
    assert (
        restore(stored, twin, MODEL).model_dump_json() == answer(twin, ["x", "y"]).model_dump_json()
    )
    for private in (b"one", b"tenant", b"metadata", MODEL.sha256.encode()):
        assert private not in stored or any(private.decode() in span.answer for span in spans)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_embedding_comes_back_to_the_bit(numbers: list[float]) -> None:
    def embedding(id_: str) -> Embedding:
        return Embedding(id=id_, embedding=numbers, dims=len(numbers), model=MODEL, windows=1)

    back = restore(store(embedding("1")), Text(id="2", text="t"), MODEL)
    assert back == embedding("2")
    signs = [math.copysign(1.0, number) for number in back.embedding]
    assert signs == [math.copysign(1.0, number) for number in numbers]
