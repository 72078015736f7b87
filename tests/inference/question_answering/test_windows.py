"""How many windows there are, what they cover, and how far they overlap."""

from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rejection import Reason, Rejected
from tests.examples import examples
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import window_starts

CASES = st.integers(1, 60).flatmap(
    lambda capacity: st.tuples(
        st.integers(1, 500), st.just(capacity), st.integers(0, max(0, capacity - 1))
    )
)


def blank_context(tokens: int) -> EncodedContext:
    every = np.arange(tokens, dtype=np.int64)
    return EncodedContext(every, every, every + 1, every, every)


@given(CASES)
@examples(120)
def test_there_are_as_many_windows_as_the_formula_says(case: tuple[int, int, int]) -> None:
    tokens, capacity, stride = case
    expected = 1 + ceil(max(0, tokens - capacity) / (capacity - stride))
    assert len(list(window_starts(*case))) == expected


@given(CASES)
@examples(120)
def test_windows_cover_every_token_and_overlap_by_the_stride(case: tuple[int, int, int]) -> None:
    tokens, capacity, stride = case
    windows = list(window_starts(*case))
    assert windows[0][0] == 0
    assert sum(windows[-1]) == tokens
    for (first, count), (following, _) in pairwise(windows):
        assert count == capacity
        assert first + count - following == stride


@given(CASES)
@examples(120)
def test_no_window_lies_within_the_one_before(case: tuple[int, int, int]) -> None:
    windows = list(window_starts(*case))
    ends = [first + count for first, count in windows]
    assert ends == sorted(set(ends))


@pytest.mark.parametrize("stride", [32, 33, 500, 10**9])
def test_the_stride_is_at_most_half_of_what_the_question_leaves(
    windower: Windower, stride: int
) -> None:
    question = np.ones(512 - 3 - 64, dtype=np.int64)
    windows = windower.split(question, blank_context(1_000), stride=stride, max_windows=100)
    assert [window.first for window in windows[:3]] == [0, 32, 64]


def test_a_stride_within_the_half_is_taken_as_it_is(windower: Windower) -> None:
    question = np.ones(512 - 3 - 64, dtype=np.int64)
    windows = windower.split(question, blank_context(1_000), stride=31, max_windows=100)
    assert [window.first for window in windows[:3]] == [0, 33, 66]


def test_as_many_windows_as_allowed_are_cut_and_one_more_is_refused(windower: Windower) -> None:
    question = np.ones(9, dtype=np.int64)  # capacity 500, steps of 400
    fits = windower.split(question, blank_context(500 + 3 * 400), stride=100, max_windows=4)
    assert len(fits) == 4
    with pytest.raises(Rejected) as caught:
        windower.split(question, blank_context(501 + 3 * 400), stride=100, max_windows=4)
    assert caught.value.reason is Reason.CONTEXT_TOO_LONG
    assert "1701 tokens" in caught.value.detail
    assert "5 windows" in caught.value.detail


def test_a_context_without_tokens_has_no_window(windower: Windower) -> None:
    question = windower.tokenize_question("Who?", max_tokens=10)
    for blank in ("", " ", "\n\t\u00a0", "\u200b", "\x00"):
        context = windower.tokenize_context(blank)
        assert windower.split(question, context, stride=0, max_windows=1) == []


def test_a_window_is_as_long_as_its_tokens(windower: Windower) -> None:
    question = windower.tokenize_question("Who?", max_tokens=10)
    (window,) = windower.split(
        question, windower.tokenize_context("Ada did."), stride=0, max_windows=1
    )
    assert len(window) == len(window.ids) == len(window.types) == len(question) + 3 + window.count
