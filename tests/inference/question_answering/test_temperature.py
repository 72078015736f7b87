"""A calibrated model changes scores, and neither the order of the spans nor the answers."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.inference.question_answering.reference_spans import Case
from tests.inference.question_answering.test_passages import CASES, RETRIEVED, passages
from tests.inference.question_answering.test_spans_reference import OPTIONS, SEVERAL
from worker.inference.question_answering.spans import (
    ScoreNormalization,
    SpanOptions,
    rank_passages,
    rank_spans,
)

TEMPERATURES = st.floats(0.05, 20)


@given(SEVERAL, OPTIONS, TEMPERATURES)
@examples(150)
def test_the_order_of_the_spans_is_that_without_a_temperature(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    before = rank_spans(read.text, read.context, read.read, options)
    warmer = replace(options, temperature=temperature)
    after = rank_spans(read.text, read.context, read.read, warmer)
    assert [(each.start, each.end) for each in after] == [(each.start, each.end) for each in before]
    assert all(0.0 <= each.score <= 1.0 for each in after)


@given(SEVERAL, OPTIONS, TEMPERATURES)
@examples(80)
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


# Divided by a power of two, sums of logits that are equal stay equal: which window's [CLS] counts
# does not depend on rounding.
@given(SEVERAL, OPTIONS, st.integers(-4, 4).map(lambda power: 2.0**power))
@examples(150)
def test_a_score_is_that_of_logits_divided_by_the_temperature(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    every = replace(options, top_k=10_000, score_normalization=ScoreNormalization.JOINT)
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


@given(SEVERAL, OPTIONS, TEMPERATURES)
@examples(80)
def test_scores_of_a_softmax_for_each_window_have_no_temperature(
    read: Case, options: SpanOptions, temperature: float
) -> None:
    alone = replace(options, score_normalization=ScoreNormalization.PER_WINDOW)
    warmer = replace(alone, temperature=temperature)
    assert rank_spans(read.text, read.context, read.read, warmer) == rank_spans(
        read.text, read.context, read.read, alone
    )


@given(CASES, OPTIONS, RETRIEVED, st.floats(0, 5), st.sampled_from([0.34, 1.0]), TEMPERATURES)
@examples(100)
def test_spans_of_passages_keep_their_order_and_the_retrievers_factor(
    cases: list[Case],
    options: SpanOptions,
    retrieved: list[float | None],
    weight: float,
    overlap: float,
    temperature: float,
) -> None:
    joint = replace(
        options,
        score_normalization=ScoreNormalization.JOINT,
        overlap=overlap,
        retriever_weight=weight,
    )
    read = passages(cases, retrieved)
    before = rank_passages(read, joint)
    after = rank_passages(read, replace(joint, temperature=temperature))
    assert [each.model_copy(update={"score": 0}) for each in after] == [
        each.model_copy(update={"score": 0}) for each in before
    ]
    unweighted = replace(joint, temperature=temperature, retriever_weight=0.0, top_k=10_000)
    own = {
        (each.context_index, each.start, each.end): each.score
        for each in rank_passages(read, replace(unweighted, overlap=1.0))
    }
    for each in after:
        place = each.context_index, each.start, each.end
        score = None if each.context_index is None else read[each.context_index].retriever_score
        factor = 1.0 if score is None else score**weight
        assert each.score == pytest.approx(own.get(place, 0.0) * factor, rel=1e-12, abs=0)


@given(CASES, OPTIONS, TEMPERATURES)
@examples(80)
def test_the_order_of_passages_changes_no_bit_of_a_score(
    cases: list[Case], options: SpanOptions, temperature: float
) -> None:
    joint = replace(
        options,
        top_k=10_000,
        score_normalization=ScoreNormalization.JOINT,
        temperature=temperature,
    )
    forth = rank_passages(passages(cases), joint)
    back = rank_passages(passages(cases[::-1]), joint)
    assert sorted(each.score for each in forth) == sorted(each.score for each in back)
