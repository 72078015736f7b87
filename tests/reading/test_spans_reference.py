"""Spans equal those of the algorithms written naively; scores, order and ties too."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reading.pipeline import Case, case, reference
from worker.reading.spans import SpanOptions, WindowScores, rank

WORDS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=9)
SEEDS = st.integers(0, 2**32 - 1)
OPTIONS = st.builds(
    SpanOptions,
    top_k=st.integers(1, 12),
    max_answer_tokens=st.integers(1, 20),
    align_to_words=st.booleans(),
    no_answer=st.booleans(),
    no_answer_threshold=st.sampled_from([0.0, 0.0, -3.0, 2.5]),
    window_scores=st.sampled_from(WindowScores),
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


@given(SINGLE, OPTIONS)
@settings(max_examples=400, deadline=None)
def test_one_window_gives_the_pipelines_spans(read: Case, options: SpanOptions) -> None:
    assert rank(read.text, read.context, read.read, options) == reference(read, options)


@given(SEVERAL, OPTIONS)
@settings(max_examples=400, deadline=None)
def test_several_windows_give_the_references_spans(read: Case, options: SpanOptions) -> None:
    assert rank(read.text, read.context, read.read, options) == reference(read, options)


@given(SEVERAL, OPTIONS)
@settings(max_examples=200, deadline=None)
def test_spans_are_as_many_as_asked_for_or_as_there_are(read: Case, options: SpanOptions) -> None:
    everything = replace(options, top_k=10_000)
    spans = rank(read.text, read.context, read.read, options)
    every = rank(read.text, read.context, read.read, everything)
    assert len(spans) == min(options.top_k, len(every))
    assert spans == every[: options.top_k]
    assert len({(span.start, span.end) for span in every}) == len(every)


@given(SEVERAL, OPTIONS)
@settings(max_examples=200, deadline=None)
def test_the_order_of_the_windows_does_not_matter(read: Case, options: SpanOptions) -> None:
    forth = rank(read.text, read.context, read.read, options)
    assert rank(read.text, read.context, read.read[::-1], options) == forth


@given(SEVERAL, OPTIONS)
@settings(max_examples=200, deadline=None)
def test_every_span_is_the_text_between_its_offsets(read: Case, options: SpanOptions) -> None:
    for span in rank(read.text, read.context, read.read, options):
        assert read.text[span.start : span.end] == span.answer
        assert 0.0 <= span.score <= 1.0
        assert span.answer or (options.no_answer and (span.start, span.end) == (0, 0))


@given(SINGLE, OPTIONS)
@settings(max_examples=200, deadline=None)
def test_on_one_window_both_ways_to_compare_are_the_same(read: Case, options: SpanOptions) -> None:
    joint, alone = (
        rank(read.text, read.context, read.read, replace(options, window_scores=scores))
        for scores in WindowScores
    )
    assert joint == alone
