"""A best span with a low score is not taken for an answer, and stays in `answers`."""

from pathlib import Path
from typing import Any

import pytest

from schemas.answer import Answer
from schemas.question import Question, ReadingOptions
from tests.inference.bundles import write_bundle
from tests.inference.manifests import calibration
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.models.bundle import open_bundle

CONTEXT = "b answer c second d"


def ask(
    directory: Path,
    options: ReadingOptions,
    *,
    setting: float = 0.0,
    context: str = CONTEXT,
    **manifest: Any,
) -> Answer:
    """The tiny model's answer; `setting` is QA_MIN_SCORE."""
    bundle = open_bundle(write_bundle(directory / "tiny", **manifest))
    with InferenceEngine(bundle, InferenceOptions(threads=1, min_score=setting)) as engine:
        asked = Question(id="1", question="a", context=context, options=options)
        return engine.submit(asked).result(30).outcome


def test_a_span_below_the_score_is_no_answer_and_stays_in_answers(tmp_path: Path) -> None:
    plain = ask(tmp_path, ReadingOptions(top_k=2))
    unsure = ask(tmp_path, ReadingOptions(top_k=2, min_score=plain.score + 0.01))
    assert (plain.answered, plain.answer) == (True, "answer")
    assert not unsure.answered
    assert (unsure.answer, unsure.start, unsure.end) == ("", 0, 0)
    assert unsure.answers == plain.answers
    assert unsure.score == plain.score == plain.answers[0].score


def test_a_score_that_equals_the_bound_is_enough(tmp_path: Path) -> None:
    plain = ask(tmp_path, ReadingOptions())
    assert ask(tmp_path, ReadingOptions(min_score=plain.score)) == plain


@pytest.mark.parametrize(("asked", "answered"), [(None, False), (0.0, True), (1.0, False)])
def test_the_question_decides_before_the_setting(
    tmp_path: Path, asked: float | None, answered: bool
) -> None:
    assert ask(tmp_path, ReadingOptions(min_score=asked), setting=1.0).answered is answered


def test_the_empty_answer_stays_the_best_span(tmp_path: Path) -> None:
    options = ReadingOptions(min_score=1.0, no_answer=True)
    nothing = ask(tmp_path, options, context="b c d")
    assert not nothing.answered
    assert nothing.answers[0].end == 0
    assert nothing.score == nothing.answers[0].score < 1.0


def test_the_bound_applies_to_the_calibrated_score(tmp_path: Path) -> None:
    plain = ask(tmp_path, ReadingOptions())
    fitted = calibration(temperature=3.0).model_dump()
    colder = ask(tmp_path, ReadingOptions(min_score=plain.score), calibration=fitted)
    assert (plain.answered, colder.answered) == (True, False)
    assert colder.answers[0].answer == plain.answer
    assert colder.score < plain.score


def test_a_model_that_knows_no_answer_may_give_none_by_itself(tmp_path: Path) -> None:
    assert ask(tmp_path, ReadingOptions(), context="b c d").answered
    known = ask(tmp_path, ReadingOptions(), context="b c d", knows_no_answer=True)
    assert (known.answered, known.answers[0].end) == (False, 0)
    off = ReadingOptions(no_answer=False)
    assert ask(tmp_path, off, context="b c d", knows_no_answer=True).answered
