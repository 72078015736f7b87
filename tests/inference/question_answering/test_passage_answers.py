"""Questions with several passages, through the engine: one limit for all, answers from each."""

import pytest

from schemas.answer import Answer
from schemas.question import Passage, Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.job import QuestionJob
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.models.bundle import Bundle

pytestmark = pytest.mark.long

LOVELACE = "Ada Lovelace wrote the first algorithm for Charles Babbage's machine in 1843."
SAILOR = "The Halcyon left Bergen with dried cod. Captain Ingrid Solheim steered her into Lerwick."
FILLER = "The committee met again on Tuesday and discussed the budget for the coming year. "


def asked(*passages: Passage | str, **of_question: object) -> Question:
    contexts = [Passage(text=each) if isinstance(each, str) else each for each in passages]
    fields = {"id": "q", "question": "Who wrote the first algorithm?", **of_question}
    return Question(contexts=contexts, **fields)  # type: ignore[arg-type]


def answer_to(reader: InferenceEngine, question: Question) -> Answer:
    return reader.submit(question).result(60).outcome


def rejection_of(reader: InferenceEngine, question: Question) -> Rejected:
    with pytest.raises(Rejected) as caught:
        answer_to(reader, question)
    return caught.value


def test_the_answer_names_its_passage(reader: InferenceEngine) -> None:
    options = ReadingOptions(top_k=6, per_context=2, no_answer=False)
    passages = [Passage(text=FILLER), Passage(id="ada", text=LOVELACE), Passage(text=SAILOR)]
    answer = answer_to(reader, asked(*passages, options=options))
    assert answer.answer == "Ada Lovelace"
    assert (answer.context_index, answer.context_id) == (1, "ada")
    assert (answer.windows, len(answer.answers)) == (3, 6)
    for span in answer.answers:
        assert span.context_index is not None
        passage = passages[span.context_index]
        assert span.context_id == passage.id
        assert passage.text[span.start : span.end] == span.answer


@pytest.mark.parametrize("context", [LOVELACE, FILLER * 40 + LOVELACE, "\u200b"])
@pytest.mark.parametrize(
    "options", [ReadingOptions(), ReadingOptions(top_k=9, no_answer=True, max_answer_tokens=40)]
)
def test_one_passage_is_answered_as_a_context(
    reader: InferenceEngine, context: str, options: ReadingOptions
) -> None:
    single = Question(
        id="q", question="Who wrote the first algorithm?", context=context, options=options
    )
    answer = answer_to(reader, single)
    # As JSON: every digit of every score.
    assert answer_to(reader, asked(context, options=options)).model_dump_json() == (
        answer.model_dump_json()
    )
    assert answer.context_index == (0 if answer.answer else None)


def test_no_answer_names_no_passage(reader: InferenceEngine) -> None:
    answer = answer_to(reader, asked("\u200b", "\u200c"))
    assert (answer.answer, answer.context_index, answer.windows) == ("", None, 0)
    options = ReadingOptions(no_answer=True, no_answer_threshold=-100)
    answer = answer_to(reader, asked(FILLER, Passage(id="b", text=SAILOR), options=options))
    assert (answer.answered, answer.context_index, answer.context_id) == (False, None, None)


def test_passages_share_the_limit_of_windows(default_bundle: Bundle) -> None:
    options = InferenceOptions(threads=1, max_windows=3)
    with InferenceEngine(default_bundle, options) as strict:
        assert answer_to(strict, asked(LOVELACE, SAILOR, FILLER)).windows == 3
        fits = [LOVELACE, "\u200b", SAILOR, FILLER, "\u200b"]
        assert answer_to(strict, asked(*fits)).windows == 3
        four, long = [FILLER] * 4, [LOVELACE, SAILOR, FILLER * 60]
        details = set()
        for texts in (four, long, long[::-1]):
            rejected = rejection_of(strict, asked(*texts))
            assert rejected.reason is Reason.CONTEXT_TOO_LONG
            details.add(rejected.detail)
        # The order of the passages does not matter here either.
        assert details == {
            f"the {number} contexts take more than 3 windows of 512 tokens, the limit"
            for number in (3, 4)
        }


def test_too_many_passages_are_rejected(default_bundle: Bundle) -> None:
    options = InferenceOptions(threads=1, max_contexts=2)
    with InferenceEngine(default_bundle, options) as strict:
        assert answer_to(strict, asked(LOVELACE, SAILOR)).answer == "Ada Lovelace"
        rejected = rejection_of(strict, asked(LOVELACE, SAILOR, FILLER))
    assert rejected.reason is Reason.CONTEXT_TOO_LONG
    assert rejected.detail == "the question has 3 contexts, the limit is 2"


def test_one_passage_is_rejected_as_a_context(default_bundle: Bundle) -> None:
    long = "Ada. " * 1_000
    with InferenceEngine(default_bundle, InferenceOptions(threads=1, max_windows=2)) as strict:
        details = {
            rejection_of(strict, question).detail
            for question in (asked(long), Question(question="Who wrote?", context=long))
        }
    assert len(details) == 1


def test_no_passage_behind_the_limit_is_tokenized(
    default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized: list[int] = []
    tokenize = Windower.tokenize_context

    def counting(windower: Windower, text: str, *, max_tokens: int | None = None) -> EncodedContext:
        context = tokenize(windower, text, max_tokens=max_tokens)
        tokenized.append(len(context.ids))
        return context

    monkeypatch.setattr(Windower, "tokenize_context", counting)
    texts = ["word " * 200_000] * 99
    with InferenceEngine(default_bundle, InferenceOptions(threads=1)) as engine:
        rejected = rejection_of(engine, asked(LOVELACE, *texts))
    assert rejected.reason is Reason.CONTEXT_TOO_LONG
    # Up to 255 windows of about 375 new tokens, and a piece of the text beyond them.
    assert len(tokenized) == 2
    assert 90_000 < tokenized[1] < 110_000


def test_tokens_are_estimated_for_every_passage(reader: InferenceEngine) -> None:
    job = QuestionJob(asked(LOVELACE, SAILOR), reader._task)  # type: ignore[arg-type]
    one, other = (
        QuestionJob(asked(text), reader._task)  # type: ignore[arg-type]
        for text in (LOVELACE, SAILOR)
    )
    assert job.estimated_tokens == one.estimated_tokens + other.estimated_tokens
