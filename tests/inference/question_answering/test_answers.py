"""Questions in, answers out, with the real model: whole, and the same whatever runs beside."""

import pytest

from schemas.answer import Answer, ModelInfo
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.models.bundle import Bundle

LOVELACE = (
    "Ada Lovelace wrote the first algorithm for Charles Babbage's machine in 1843. "
    "She was the daughter of Lord Byron."
)
FILLER = "The committee met again on Tuesday and discussed the budget for the coming year. "
QUESTIONS = [
    Question(id="who", question="Who wrote the first algorithm?", context=LOVELACE),
    Question(id="when", question="When was it written?", context=LOVELACE),
    Question(id="one", question="What?", context="Rain."),
    Question(
        id="long",
        question="Who was her father?",
        context=FILLER * 40 + LOVELACE,
        options=ReadingOptions(no_answer=False),
    ),
    Question(id="accents", question="Où est le café?", context="Le cafe\u0301 est à Orléans. ☕️"),
    Question(
        id="many",
        question="Who was her father?",
        context=LOVELACE,
        options=ReadingOptions(top_k=7, align_to_words=False, no_answer=True),
    ),
]


def answered(reader: InferenceEngine, question: Question) -> Answer:
    return reader.submit(question).result(30).outcome


def test_an_answer_is_whole(reader: InferenceEngine, default_bundle: Bundle) -> None:
    asked = QUESTIONS[0].model_copy(update={"metadata": {"tenant": "t", "n": [1, None]}})
    answer = answered(reader, asked)
    assert answer.id == "who"
    assert answer.answer == "Ada Lovelace"
    assert (answer.start, answer.end) == (0, 12)
    assert answer.answered
    assert [span.answer for span in answer.answers] == ["Ada Lovelace"]
    assert answer.score == answer.answers[0].score > 0.5
    assert answer.windows == 1
    assert answer.source is None
    assert answer.metadata == asked.metadata
    assert answer.model == ModelInfo(
        name="default",
        sha256=default_bundle.manifest.sha256,
        precision="int8",
        provider="cpu",
    )


def test_an_answer_at_the_end_of_a_long_context_is_found(reader: InferenceEngine) -> None:
    answer = answered(reader, QUESTIONS[3])
    assert answer.answer == "Lord Byron"
    assert answer.windows > 1
    assert QUESTIONS[3].passages[0].text[answer.start : answer.end] == "Lord Byron"


def test_an_accent_stays_with_its_letter(reader: InferenceEngine) -> None:
    context = "The only drink is cafe\u0301"
    question = Question(question="What is the only drink?", context=context)
    assert answered(reader, question).answer == "cafe\u0301"


@pytest.mark.parametrize("blank", [" ", "\n\n", "\u200b", "\x07"])
def test_a_blank_context_holds_no_answer(reader: InferenceEngine, blank: str) -> None:
    answer = answered(reader, Question(question="Who?", context=blank))
    assert (answer.answer, answer.score, answer.start, answer.end) == ("", 0.0, 0, 0)
    assert not answer.answered
    assert answer.windows == 0


@pytest.mark.long
@pytest.mark.parametrize("threads", [1, 2])
def test_an_answer_is_the_same_alone_and_among_others(
    reader: InferenceEngine, default_bundle: Bundle, threads: int
) -> None:
    alone = {question.id: answered(reader, question) for question in QUESTIONS}
    with InferenceEngine(default_bundle, InferenceOptions(threads=threads)) as busy:
        futures = [busy.submit(question) for question in [*QUESTIONS, *QUESTIONS[::-1]]]
        together = [future.result(30).outcome for future in futures]
    for answer in together:
        assert answer == alone[answer.id]


@pytest.mark.parametrize(
    "options",
    [ReadingOptions(top_k=21), ReadingOptions(max_answer_tokens=101)],
    ids=["top_k", "max_answer_tokens"],
)
def test_an_option_past_the_workers_limit_is_rejected(
    reader: InferenceEngine, options: ReadingOptions
) -> None:
    with pytest.raises(Rejected) as caught:
        answered(reader, QUESTIONS[0].model_copy(update={"options": options}))
    assert caught.value.reason is Reason.OPTION_OUT_OF_RANGE


def test_a_question_that_is_too_long_is_rejected(reader: InferenceEngine) -> None:
    with pytest.raises(Rejected) as caught:
        answered(reader, Question(question="who " * 257, context="Ada."))
    assert caught.value.reason is Reason.QUESTION_TOO_LONG


def test_a_context_of_too_many_windows_is_rejected(default_bundle: Bundle) -> None:
    with InferenceEngine(default_bundle, InferenceOptions(threads=1, max_windows=2)) as strict:
        with pytest.raises(Rejected) as caught:
            answered(strict, Question(question="Who?", context="Ada. " * 1_000))
        assert caught.value.reason is Reason.CONTEXT_TOO_LONG
        assert answered(strict, QUESTIONS[0]).answer == "Ada Lovelace"
