"""What a question may ask for, and what it gets where it does not ask."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from schemas.question import ReadingOptions
from schemas.rejection import Reason, Rejected
from tests.inference.manifests import calibration, manifest
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import ScoreNormalization, SpanOptions

DEFAULTS = InferenceOptions(
    threads=1,
    top_k=2,
    top_k_limit=5,
    max_answer_tokens=7,
    max_answer_tokens_limit=9,
    align_to_words=True,
    no_answer=True,
    doc_stride=30,
)


def test_a_question_without_options_is_read_as_the_worker_says() -> None:
    assert DEFAULTS.span_options(ReadingOptions()) == SpanOptions(
        top_k=2, max_answer_tokens=7, align_to_words=True, no_answer=True
    )
    assert DEFAULTS.stride(ReadingOptions()) == 30


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("top_k", 1),
        ("top_k", 5),
        ("max_answer_tokens", 1),
        ("max_answer_tokens", 9),
        ("align_to_words", False),
        ("no_answer", False),
        ("no_answer_threshold", -1.5),
        ("min_score", 0.25),
    ],
)
def test_an_option_within_the_limits_is_taken_and_the_rest_stays(option: str, value: Any) -> None:
    asked = DEFAULTS.span_options(ReadingOptions(**{option: value}))
    assert asked == replace(DEFAULTS.span_options(ReadingOptions()), **{option: value})


@pytest.mark.parametrize("stride", [0, 1, 10**9])
def test_any_stride_may_be_asked_for(stride: int) -> None:
    assert DEFAULTS.stride(ReadingOptions(doc_stride=stride)) == stride


@pytest.mark.parametrize(("option", "value"), [("top_k", 6), ("max_answer_tokens", 10)])
def test_an_option_past_its_limit_is_refused_with_both(option: str, value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        DEFAULTS.span_options(ReadingOptions(**{option: value}))
    assert caught.value.reason is Reason.OPTION_OUT_OF_RANGE
    assert caught.value.detail == f"options.{option} is {value}, the limit is {value - 1}"


@pytest.mark.parametrize(
    ("setting", "known", "asked", "taken"),
    [
        ("auto", True, None, True),
        ("auto", False, None, False),
        ("auto", True, False, False),
        ("auto", False, True, True),
        (False, True, None, False),
        (True, False, None, True),
    ],
)
def test_no_answer_is_the_questions_then_the_settings_then_the_models(
    setting: bool | Literal["auto"], known: bool, asked: bool | None, taken: bool
) -> None:
    options = InferenceOptions(no_answer=setting).for_model(manifest(knows_no_answer=known))
    assert options.span_options(ReadingOptions(no_answer=asked)).no_answer is taken


def test_a_fitted_threshold_is_for_joint_scores() -> None:
    """Of a text in several windows the scores of each window have other margins."""
    calibrated = manifest(calibration=calibration(no_answer_threshold=1.5))
    options = InferenceOptions(score_normalization=ScoreNormalization.PER_WINDOW)
    assert options.for_model(calibrated).span_options(ReadingOptions()).no_answer_threshold == 0.0


@pytest.mark.parametrize(
    ("setting", "fitted", "asked", "taken"),
    [
        (None, None, None, 0.0),
        (None, 1.5, None, 1.5),
        (0.0, 1.5, None, 0.0),
        (None, 1.5, -2.0, -2.0),
        (2.0, None, None, 2.0),
    ],
)
def test_the_threshold_is_the_questions_then_the_settings_then_the_fitted_one(
    setting: float | None, fitted: float | None, asked: float | None, taken: float
) -> None:
    options = InferenceOptions(no_answer_threshold=setting).for_model(
        manifest(calibration=calibration(no_answer_threshold=fitted))
    )
    assert options.span_options(ReadingOptions(no_answer_threshold=asked)).no_answer_threshold == (
        taken
    )
