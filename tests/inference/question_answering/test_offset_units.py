"""Offsets in UTF-16 code units and in bytes of UTF-8, for any text, against Python's encoders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answer import Answer, OffsetUnit, Span
from schemas.question import Question, ReadingOptions
from tests.inference.texts import PIECES, cut
from worker.inference.engine import InferenceEngine
from worker.inference.question_answering.offset_units import convert_offsets, spans_in_unit

TEXTS = st.lists(
    st.sampled_from([*PIECES, "a\u0308", "👍🏽", "𝒳", "\U0010ffff", "\uffff", "\ud7ff", " "])
    | st.text(max_size=3),
    max_size=25,
).map("".join)


@pytest.mark.parametrize("unit", ["code_points", "utf16", "bytes"])
@given(text=TEXTS, data=st.data())
def test_converted_offsets_cut_out_the_same_text(
    unit: OffsetUnit, text: str, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, len(text))))
    converted = convert_offsets(text, places, unit)
    assert converted.keys() >= set(places)
    for start in places:
        for end in places:
            assert cut(text, converted[start], converted[end], unit) == text[start:end]


def test_spans_count_in_their_own_passage() -> None:
    texts = ["👍 Ada", "ö Ada", "Ada"]
    spans = [
        Span(answer="Ada", score=0.5, start=len(text) - 3, end=len(text), context_index=index)
        for index, text in enumerate(texts)
    ]
    nothing = Span(answer="", score=0.1, start=0, end=0)

    for unit, starts in (("utf16", [3, 2, 0]), ("bytes", [5, 3, 0])):
        converted = spans_in_unit([*spans, nothing], texts, unit)  # type: ignore[arg-type]
        assert [span.start for span in converted] == [*starts, 0]
        assert [span.end - span.start for span in converted] == [3, 3, 3, 0]
        assert [span.context_index for span in converted] == [0, 1, 2, None]


def test_many_offsets_encode_the_text_once() -> None:
    class Encoded(str):
        """Counts the characters that are encoded."""

        characters = 0

        def __getitem__(self, where: object) -> "Encoded":
            return Encoded(super().__getitem__(where))  # type: ignore[index]

        def encode(self, *arguments: str) -> bytes:
            Encoded.characters += len(self)
            return super().encode(*arguments)

    text = Encoded("ab👍" * 1000)
    convert_offsets(text, range(len(text) + 1), "bytes")
    assert Encoded.characters == len(text)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [(None, (2, 8)), ("code_points", (2, 8)), ("utf16", (3, 9)), ("bytes", (5, 11))],
)
def test_answer_has_the_unit_that_its_question_asks_for(
    tiny_reader: InferenceEngine, unit: OffsetUnit | None, expected: tuple[int, int]
) -> None:
    context = "👍 answer b"
    options = ReadingOptions(offsets=unit, top_k=2)
    tiny_reader.start()
    answer = tiny_reader.submit(Question(question="a", context=context, options=options)).result(30)
    outcome = answer.outcome
    assert isinstance(outcome, Answer)
    assert (outcome.offsets, outcome.answer) == (unit or "code_points", "answer")
    assert (outcome.start, outcome.end) == expected
    for span in outcome.answers:
        assert cut(context, span.start, span.end, outcome.offsets) == span.answer
