"""Spans equal those of the algorithms written naively; scores, order and ties too."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.inference.question_answering.reference_spans import Case, case, reference
from worker.inference.question_answering.spans import ScoreNormalization, SpanOptions, rank_spans

WORDS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=9)
SEEDS = st.integers(0, 2**32 - 1)
OPTIONS = st.builds(
    SpanOptions,
    top_k=st.integers(1, 12),
    max_answer_tokens=st.integers(1, 20),
    align_to_words=st.booleans(),
    no_answer=st.booleans(),
    no_answer_threshold=st.sampled_from([0.0, 0.0, -3.0, 2.5]),
    score_normalization=st.sampled_from(ScoreNormalization),
)
SINGLE = st.builds(
    case,
    WORDS,
    capacity=st.just(100),
    stride=st.just(0),
    seed=SEEDS,
    levels=st.sampled_from([1, 2, 5, 10**6]),
)
SEVERAL = st.builds(
    case,
    WORDS,
    capacity=st.integers(4, 10),
    stride=st.integers(0, 3),
    seed=SEEDS,
    levels=st.sampled_from([1, 2, 5, 10**6]),
)


@pytest.mark.long
@given(SINGLE, OPTIONS)
@examples(150)
def test_one_window_gives_the_pipelines_spans(read: Case, options: SpanOptions) -> None:
    assert rank_spans(read.text, read.context, read.read, options) == reference(read, options)


@pytest.mark.long
@given(SEVERAL, OPTIONS)
@examples(150)
def test_several_windows_give_the_references_spans(read: Case, options: SpanOptions) -> None:
    assert rank_spans(read.text, read.context, read.read, options) == reference(read, options)


@given(SEVERAL, OPTIONS)
@examples(80)
def test_spans_are_as_many_as_asked_for_or_as_there_are(read: Case, options: SpanOptions) -> None:
    everything = replace(options, top_k=10_000)
    spans = rank_spans(read.text, read.context, read.read, options)
    every = rank_spans(read.text, read.context, read.read, everything)
    assert len(spans) == min(options.top_k, len(every))
    assert spans == every[: options.top_k]
    assert len({(span.start, span.end) for span in every}) == len(every)


@given(SEVERAL, OPTIONS)
@examples(80)
def test_the_order_of_the_windows_does_not_matter(read: Case, options: SpanOptions) -> None:
    forth = rank_spans(read.text, read.context, read.read, options)
    assert rank_spans(read.text, read.context, read.read[::-1], options) == forth


@given(SEVERAL, OPTIONS)
@examples(80)
def test_every_span_is_the_text_between_its_offsets(read: Case, options: SpanOptions) -> None:
    for span in rank_spans(read.text, read.context, read.read, options):
        assert read.text[span.start : span.end] == span.answer
        assert 0.0 <= span.score <= 1.0
        assert span.answer or (options.no_answer and (span.start, span.end) == (0, 0))


@given(SINGLE, OPTIONS)
@examples(80)
def test_on_one_window_both_ways_to_compare_are_the_same(read: Case, options: SpanOptions) -> None:
    joint, alone = (
        rank_spans(read.text, read.context, read.read, replace(options, score_normalization=scores))
        for scores in ScoreNormalization
    )
    assert joint == alone
