"""Spans of several passages: one softmax over all, and options that choose among them."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answer import Span
from tests.examples import examples
from tests.inference.question_answering.reference_spans import Case, reference_scores
from tests.inference.question_answering.test_spans import TEXT, letters, options, window
from tests.inference.question_answering.test_spans_reference import OPTIONS, SEEDS, SEVERAL
from worker.inference.question_answering.candidates import ReadPassage, WindowLogits
from worker.inference.question_answering.spans import SpanOptions, rank_passages, rank_spans
from worker.inference.question_answering.windows import EncodedContext

ALL = 100_000

CASES = st.lists(SEVERAL, min_size=1, max_size=4)
SHARES = st.sampled_from([0.0, 0.1, 0.34, 0.5, 0.75, 0.999])
RETRIEVED = st.lists(st.none() | st.floats(0, 1), min_size=4, max_size=4)


def passages(cases: Sequence[Case], retrieved: Sequence[float | None] = ()) -> list[ReadPassage]:
    scores = [*retrieved, *[None] * len(cases)]
    return [
        ReadPassage(each.text, each.context, each.read, id=f"p{number}", retriever_score=score)
        for number, (each, score) in enumerate(zip(cases, scores, strict=False))
    ]


def passage(*read: WindowLogits, text: str = TEXT, **of_passage: object) -> ReadPassage:
    return ReadPassage(text, letters(), list(read), **of_passage)  # type: ignore[arg-type]


def shared(one: Span, other: Span) -> float:
    """The larger part of either span that both have in common."""
    common = min(one.end, other.end) - max(one.start, other.start)
    return max(common / (one.end - one.start), common / (other.end - other.start))


@pytest.mark.long
@given(CASES, OPTIONS)
@examples(100)
def test_scores_are_those_of_one_softmax_over_all(cases: list[Case], options: SpanOptions) -> None:
    spans = rank_passages(passages(cases), replace(options, top_k=ALL, no_answer=True))
    expected, nothing = reference_scores(cases, options)
    found = {(each.context_index, each.start, each.end): each.score for each in spans}
    assert found.pop((None, 0, 0)) == pytest.approx(nothing, rel=1e-12, abs=0)
    assert found == pytest.approx(expected, rel=1e-12, abs=0)
    for each in spans[:-1]:
        if each.context_index is not None:
            assert cases[each.context_index].text[each.start : each.end] == each.answer
            assert each.context_id == f"p{each.context_index}"


@given(CASES, OPTIONS, RETRIEVED, st.floats(0, 5), SHARES | st.just(1.0), SEEDS)
@examples(150)
def test_the_order_of_passages_changes_the_index_only(
    cases: list[Case],
    options: SpanOptions,
    retrieved: list[float | None],
    weight: float,
    overlap: float,
    seed: int,
) -> None:
    # A calibrated model's scores too.
    options = replace(options, temperature=1.7 if seed % 2 else 1.0)
    asked = replace(options, retriever_weight=weight, overlap=overlap, per_context=3)
    forth = passages(cases, retrieved)
    order = random.Random(seed).sample(range(len(forth)), len(forth))
    there = rank_passages([forth[number] for number in order], asked)
    back = [
        each
        if each.context_index is None
        else each.model_copy(update={"context_index": order[each.context_index]})
        for each in there
    ]
    # Bit by bit: floats are compared with ==.
    assert back == rank_passages(forth, asked)


@given(CASES, OPTIONS, st.integers(1, 4), SHARES)
@examples(150)
def test_options_choose_from_the_ranking_in_its_order(
    cases: list[Case], options: SpanOptions, per_context: int, overlap: float
) -> None:
    read = passages(cases)
    spans: list[Span] = []
    for each in rank_passages(read, replace(options, top_k=ALL, no_answer=False)):
        own = [span for span in spans if span.context_index == each.context_index]
        if len(own) < per_context and not any(shared(each, span) > overlap for span in own):
            spans.append(each)
    asked = replace(options, no_answer=False, per_context=per_context, overlap=overlap)
    assert rank_passages(read, asked) == spans[: options.top_k]


@given(CASES, OPTIONS, st.integers(1, 4))
@examples(80)
def test_per_context_bounds_the_spans_of_each_passage(
    cases: list[Case], options: SpanOptions, per_context: int
) -> None:
    read = passages(cases)
    spans: list[Span] = []
    for each in rank_passages(read, replace(options, top_k=ALL, no_answer=False)):
        if sum(span.context_index == each.context_index for span in spans) < per_context:
            spans.append(each)
    asked = replace(options, no_answer=False, per_context=per_context)
    assert rank_passages(read, asked) == spans[: options.top_k]


def test_the_larger_logits_of_any_passage_win() -> None:
    low, high = window({1: 3.0}, {1: 3.0}), window({6: 5.0}, {6: 5.0})
    spans = rank_passages([passage(low), passage(high, id="b")], options(2))
    assert [(span.answer, span.context_index, span.context_id) for span in spans] == [
        ("g", 1, "b"),
        ("b", 0, None),
    ]
    assert sum(span.score**0.5 for span in spans) == pytest.approx(1.0)


def test_the_empty_span_is_the_least_over_all_passages() -> None:
    sure = window({2: 0.0}, {2: 0.0}, cls=(-2.0, -2.0))
    unsure = window({5: 0.0}, {5: 0.0}, cls=(9.0, 9.0))
    spans = rank_passages([passage(unsure), passage(sure)], options(9, no_answer=True))
    (empty,) = [span for span in spans if not span.end]
    (alone,) = [
        span
        for span in rank_spans(TEXT, letters(), [sure], options(9, no_answer=True))
        if not span.end
    ]
    assert (empty.context_index, empty.context_id) == (None, None)
    assert spans[0].answer
    assert 0 < empty.score < alone.score


def test_a_passage_without_tokens_has_no_span() -> None:
    nothing = np.zeros(0, np.int64)
    no_tokens = EncodedContext(nothing, nothing, nothing, nothing, nothing)
    empty = ReadPassage("\u200b", no_tokens, [])
    read = window({2: 0.0}, {4: 0.0})
    (span,) = rank_passages([empty, passage(read)], options())
    (alone,) = rank_spans(TEXT, letters(), [read], options())
    assert span == alone.model_copy(update={"context_index": 1})


def test_ties_break_by_position_then_by_text_and_not_by_order() -> None:
    read = window({2: 0.0}, {2: 0.0})
    one, other = passage(read, text="abXdefgh"), passage(read, text="abYdefgh")
    for order in ([one, other], [other, one]):
        assert [span.answer for span in rank_passages(order, options(2))] == ["X", "Y"]
    earlier = passage(window({1: 0.0}, {1: 0.0}), text="zzzzzzzz")
    assert rank_passages([one, earlier], options())[0].answer == "z"


def test_equal_passages_rank_by_id() -> None:
    read = window({2: 0.0}, {2: 0.0})
    for ids in (["a", "b"], ["b", "a"]):
        spans = rank_passages([passage(read, id=each) for each in ids], options(2))
        assert [span.context_id for span in spans] == ["a", "b"]


def test_the_retrievers_score_multiplies_the_models() -> None:
    read = [
        passage(window({1: 3.0}, {1: 3.0}), retriever_score=0.25),
        passage(window({6: 2.5}, {6: 2.5}), retriever_score=0.5),
        passage(window({4: 0.0}, {4: 0.0})),
    ]
    plain = {span.answer: span.score for span in rank_passages(read, options(3))}
    spans = rank_passages(read, replace(options(3), retriever_weight=2.0))
    assert [(span.answer, span.score) for span in spans] == [
        ("g", plain["g"] * 0.25),
        ("b", plain["b"] * 0.0625),
        ("e", plain["e"]),
    ]


def test_no_weight_leaves_every_score() -> None:
    read = window({1: 3.0}, {1: 3.0})
    assert rank_passages([passage(read, retriever_score=0.0)], options(5)) == rank_passages(
        [passage(read)], options(5)
    )


def test_overlapping_spans_of_different_passages_are_kept() -> None:
    read = window({2: 0.0, 3: -1.0}, {4: 0.0})
    spans = rank_passages([passage(read), passage(read)], replace(options(9), overlap=0.0))
    first = [(span.context_index, span.answer) for span in spans[:2]]
    assert first == [(0, "cde"), (1, "cde")]


@pytest.mark.parametrize(("overlap", "kept"), [(0.5, ["cdef", "fgh"]), (0.2, ["cdef", "gh"])])
def test_a_span_is_dropped_above_the_share_of_either(overlap: float, kept: list[str]) -> None:
    # "cdef" and "fgh" share one character: a quarter of the one, a third of the other.
    text = "abcdefgh"
    read = window({2: 10.0, 5: 6.0, 6: 3.0}, {5: 10.0, 7: 6.0})
    spans = rank_passages([passage(read, text=text)], replace(options(2), overlap=overlap))
    assert [span.answer for span in spans] == kept


def test_spans_that_were_dropped_make_room() -> None:
    # The 36 best spans overlap; a search of the window for the best few alone would find no other.
    sure = dict.fromkeys(range(6), 9.0)
    read = window({**sure, 7: 0.0}, {**sure, 7: 0.0})
    spans = rank_passages([passage(read)], replace(options(20, longest=6), overlap=0.0))
    assert sorted(span.answer for span in spans) == list(TEXT)
