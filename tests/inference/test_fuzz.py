"""Random events over all of Unicode, a few of them: `python -m tests.inference.fuzz` reads many."""

from pathlib import Path

import pytest

from schemas.answer import Answer, Span
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason
from tests.inference.fuzz import fault, fuzz, small_bundle
from tests.streaming.stub_engine import MODEL


@pytest.mark.long
@pytest.mark.parametrize("threads", [1, 2])
def test_every_event_comes_to_an_exact_answer_or_a_typed_rejection(
    tmp_path: Path, threads: int
) -> None:
    outcomes, faults = fuzz(small_bundle(tmp_path), 500, seed=threads, threads=threads)
    assert faults == []
    assert outcomes.total() == 500
    for expected in (
        "answered from one window",
        "answered from several windows",
        "answered from several passages",
        "no answer",
    ):
        assert outcomes[expected] > 10
    for reason in (Reason.NOT_JSON, Reason.SCHEMA, Reason.OPTION_OUT_OF_RANGE):
        assert outcomes[reason] > 0


@pytest.mark.parametrize(
    ("spans", "wrong"),
    [
        ([("word", 0, 4)], None),
        ([("word", 0, 4), ("rd", 2, 4)], "share 2 characters"),
        ([("", 0, 0)], None),
        ([("word", 1, 5)], "is not what stands at"),
        ([("d.", 3, 6)], "in 5 code points"),
        ([("word", 0, 4), ("word", 0, 4)], "twice"),
    ],
)
def test_a_wrong_answer_is_seen(spans: list[tuple[str, int, int]], wrong: str | None) -> None:
    found = [
        Span(answer=text, score=0.5, start=start, end=end, context_index=0 if end else None)
        for text, start, end in spans
    ]
    best = found[0]
    answer = Answer(
        id="1",
        answer=best.answer,
        score=best.score,
        start=best.start,
        end=best.end,
        context_index=best.context_index,
        answered=bool(best.answer),
        answers=found,
        model=MODEL,
        windows=1,
    )
    asked = Question(question="a", context="word.", options=ReadingOptions(overlap=0.5))
    said = fault(asked, answer)
    assert said is None if wrong is None else wrong in (said or "")
