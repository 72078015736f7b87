"""The figures of pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answers.events import compared
from worker.answers.comparison import QUANTILES, Comparison, Distribution, same_answer


def test_the_same_span_is_that_of_the_same_passage() -> None:
    one = compared(text="Ada")
    assert same_answer(one, compared(text="Ada", score=0.9))
    assert not same_answer(one, compared(text="Ada", context_index=1))
    assert not same_answer(one, compared(text="Ada", start=4, end=7))
    assert not same_answer(one, compared(text=""))
    assert same_answer(compared(text=""), compared(text="", score=0.1))


def test_offsets_in_different_units_are_compared_by_text() -> None:
    one = compared(text="Ada", start=2, end=5)
    other = compared(text="Ada", start=4, end=7, offsets="utf16")
    assert same_answer(one, other)
    assert not same_answer(
        one, compared(text="Ada", start=4, end=7, offsets="utf16", context_index=1)
    )
    assert not same_answer(one, compared(text="Eve", start=2, end=5, offsets="bytes"))
    comparison = Comparison(shown=1)
    comparison.add(one, other)
    assert (comparison.same, comparison.different_units) == (1, 1)


def test_figures_of_four_pairs() -> None:
    comparison = Comparison(shown=2)
    comparison.add(compared(1, "the Ada", score=0.5), compared(1, "the Ada", score=0.75))
    comparison.add(compared(2, "Ada Lovelace"), compared(2, "Ada", score=0.25))
    comparison.add(compared(3, ""), compared(3, "Ada", score=0.5))
    comparison.add(compared(4, ""), compared(4, ""))
    assert (comparison.pairs, comparison.same, comparison.differ) == (4, 2, 2)
    assert comparison.share_that_differs == 0.5
    assert comparison.same_text == 2
    assert comparison.answered == {
        (True, True): 2,
        (False, True): 1,
        (False, False): 1,
    }
    assert list(comparison.f1.values) == pytest.approx([1, 2 / 3, 0, 1])
    assert list(comparison.score_shift.values) == [0.25, -0.25, 0, 0]
    assert comparison.delay.quantiles == {}


def test_the_delay_is_rights_timestamp_minus_lefts() -> None:
    comparison = Comparison(shown=0)
    comparison.add(compared(timestamp_ms=1000), compared(timestamp_ms=3500))
    comparison.add(compared(timestamp_ms=1000), compared(timestamp_ms=500))
    comparison.add(compared(timestamp_ms=1000), compared())
    assert list(comparison.delay.values) == [2.5, -0.5]


PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["Ada", "Ada Lovelace", "Eve", ""]),
        st.sampled_from(["Ada", "Lovelace", ""]),
        st.sampled_from([0.1, 0.5, 0.9]),
    )
)


@given(PAIRS, st.integers(0, 5))
def test_the_worst_differences_are_kept(pairs: list[tuple[str, str, float]], shown: int) -> None:
    comparison, everything = Comparison(shown=shown), Comparison(shown=1000)
    for number, (left, right, score) in enumerate(pairs):
        for each in (comparison, everything):
            each.add(compared(number, left, score=score), compared(number, right))
    assert len(everything.worst) == everything.differ
    assert list(comparison.worst) == list(everything.worst)[:shown]
    severities = [each.severity for each in everything.worst]
    assert severities == sorted(severities, reverse=True)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_quantiles_are_those_of_numpy(values: list[float]) -> None:
    distribution = Distribution()
    for value in values:
        distribution.add(value)
    quantiles = distribution.quantiles
    assert list(quantiles.values()) == [float(np.quantile(values, each)) for each in QUANTILES]
    assert (quantiles[0.0], quantiles[1.0]) == (min(values), max(values))
