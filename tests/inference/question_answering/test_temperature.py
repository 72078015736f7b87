"""A calibrated model changes scores, and neither the order of the spans nor the answers."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inference.question_answering.reference_spans import Case
from tests.inference.question_answering.test_spans_reference import OPTIONS, SEVERAL, SINGLE
from worker.inference.question_answering.spans import ScoreNormalization, SpanOptions, rank_spans

TEMPERATURES = st.floats(0.05, 20)


@given(SEVERAL, OPTIONS, TEMPERATURES)
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_spans_is_that_without_a_temperature(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    before = rank_spans(read.text, read.context, read.read, options)
    warmer = replace(options, temperature=temperature)
    after = rank_spans(read.text, read.context, read.read, warmer)
    assert [(each.start, each.end) for each in after] == [(each.start, each.end) for each in before]
    assert all(0.0 <= each.score <= 1.0 for each in after)


@given(SEVERAL, OPTIONS, TEMPERATURES)
@settings(max_examples=80, deadline=None)
def test_scores_of_one_softmax_fall_from_span_to_span(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    joint = replace(
        options,
        temperature=temperature,
        score_normalization=ScoreNormalization.JOINT,
        no_answer=False,
    )
    scores = [each.score for each in rank_spans(read.text, read.context, read.read, joint)]
    for better, worse in pairwise(scores):
        assert worse <= better * (1 + 1e-12)


@given(SEVERAL, OPTIONS, TEMPERATURES)
@settings(max_examples=150, deadline=None)
def test_a_score_is_that_of_logits_divided_by_the_temperature(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    _compare_with_divided_logits(read, options, temperature, ScoreNormalization.JOINT)


@given(SINGLE, OPTIONS, TEMPERATURES)
@settings(max_examples=80, deadline=None)
def test_so_is_the_score_in_a_softmax_for_each_window(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    _compare_with_divided_logits(read, options, temperature, ScoreNormalization.PER_WINDOW)


def _compare_with_divided_logits(
    read: Case, options: SpanOptions, temperature: float, normalization: ScoreNormalization
) -> None:
    every = replace(options, top_k=10_000, score_normalization=normalization)
    divided = [
        (window, start.astype(np.float64) / temperature, end.astype(np.float64) / temperature)
        for window, start, end in read.read
    ]
    expected = {
        (each.start, each.end): each.score
        for each in rank_spans(read.text, read.context, divided, every)  # type: ignore[arg-type]
    }
    warmer = replace(every, temperature=temperature)
    for span in rank_spans(read.text, read.context, read.read, warmer):
        assert span.score == pytest.approx(expected[span.start, span.end], rel=1e-9, abs=1e-300)
