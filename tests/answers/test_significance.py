"""McNemar's test against published values, and against the binomial distribution written out."""

from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.answers.significance import mcnemar


@pytest.mark.parametrize(
    ("left_only", "right_only", "exact", "mid_p"),
    [
        # Bentur et al. 2009, as in Fagerland et al. 2013.
        (1, 7, 0.0703, 0.0391),
        (7, 1, 0.0703, 0.0391),
        (0, 5, 2 / 32, 1 / 32),
        (1, 9, 22 / 1024, 12 / 1024),
        (0, 0, 1, 1),
        # As many on both sides: 1, and 1 less half the probability of 3 of 6, which is 20/64.
        (3, 3, 1, 1 - 10 / 64),
        (1, 2, 1, 1 - 3 / 8),
    ],
)
def test_published_and_computed_values(
    left_only: int, right_only: int, exact: float, mid_p: float
) -> None:
    found = mcnemar(left_only, right_only)
    assert found.exact == pytest.approx(exact, abs=5e-5)
    assert found.mid_p == pytest.approx(mid_p, abs=5e-5)


def test_the_exact_test_is_the_binomial_test_of_all_outcomes() -> None:
    for trials in range(1, 9):
        outcomes = [sum(each) for each in product((0, 1), repeat=trials)]
        for observed in range(trials + 1):
            as_far = [abs(each - trials / 2) >= abs(observed - trials / 2) for each in outcomes]
            assert mcnemar(observed, trials - observed).exact == pytest.approx(
                sum(as_far) / len(outcomes)
            )


@given(st.integers(0, 400), st.integers(0, 400))
def test_p_values_are_symmetric_probabilities(left_only: int, right_only: int) -> None:
    found = mcnemar(left_only, right_only)
    assert found == mcnemar(right_only, left_only)
    assert 0 <= found.mid_p <= found.exact <= 1
    if left_only != right_only:
        trials = left_only + right_only
        point = comb(trials, left_only) / 2**trials
        assert found.exact - found.mid_p == pytest.approx(point, rel=1e-9, abs=1e-300)
