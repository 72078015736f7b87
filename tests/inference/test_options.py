"""What a question may ask for, and what it gets where it does not ask."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.question import ReadingOptions
from schemas.rejection import Reason, Rejected
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import SpanOptions

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
