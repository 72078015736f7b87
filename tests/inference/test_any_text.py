"""Any text of Unicode as question and context: an answer of the context, or a rejection."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.answer import Answer
from schemas.question import Question, ReadingOptions
from schemas.rejection import Rejected
from tests.examples import examples
from tests.inference.texts import PIECES
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered

TEXTS = st.text(min_size=1, max_size=40) | st.lists(
    st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=12
).map("".join)


@given(
    question=TEXTS.filter(str.strip),
    context=TEXTS.filter(bool),
    align_to_words=st.booleans(),
    no_answer=st.booleans(),
)
@examples(100)
def test_every_span_is_a_piece_of_the_context(
    reader: InferenceEngine, question: str, context: str, align_to_words: bool, no_answer: bool
) -> None:
    options = ReadingOptions(top_k=5, align_to_words=align_to_words, no_answer=no_answer)
    asked = Question(question=question, context=context, options=options)
    (answer,) = map_ordered(reader, [asked])
    if isinstance(answer, Rejected):
        # The model sees nothing in it: control characters, marks of no letter, and the like.
        assert answer.detail == "question: holds nothing that the model can read"
        return
    assert answer.answers
    assert context[answer.start : answer.end] == answer.answer
    for span in answer.answers:
        assert context[span.start : span.end] == span.answer
        assert 0.0 <= span.score <= 1.0
    assert Answer.model_validate_json(answer.model_dump_json()) == answer
