"""The estimate of tokens per second, for any sequence of measurements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.throughput import HALF_LIFE_SECONDS, MAX_SLOWDOWN, ThroughputEstimator

RATES = st.floats(min_value=10.0, max_value=1e6)
SIZES = st.integers(min_value=1, max_value=10_000)
THREADS = st.integers(min_value=1, max_value=64)


def test_the_rate_is_zero_before_the_first_measurement() -> None:
    assert ThroughputEstimator(2).tokens_per_second == 0


@given(threads=THREADS, rate=RATES, sizes=st.lists(SIZES, min_size=1, max_size=50))
def test_a_constant_rate_is_found_at_once_and_counts_for_each_thread(
    threads: int, rate: float, sizes: list[int]
) -> None:
    estimator = ThroughputEstimator(threads)
    for tokens in sizes:
        estimator.add(tokens, tokens / rate)
        assert estimator.tokens_per_second == pytest.approx(threads * rate)


@given(
    threads=THREADS,
    runs=st.lists(st.tuples(SIZES, RATES), min_size=1, max_size=50),
)
def test_the_rate_lies_between_the_slowest_and_the_fastest_run(
    threads: int, runs: list[tuple[int, float]]
) -> None:
    estimator = ThroughputEstimator(threads)
    for tokens, rate in runs:
        estimator.add(tokens, tokens / rate)
    rates = [threads * rate for _, rate in runs]
    assert min(rates) * 0.999 <= estimator.tokens_per_second <= max(rates) * 1.001


@given(stall=st.floats(min_value=1.0, max_value=1e6), runs=st.integers(1, 100))
def test_one_run_divides_the_rate_by_at_most_the_largest_slowdown(stall: float, runs: int) -> None:
    estimator = ThroughputEstimator(1)
    for _ in range(runs):
        estimator.add(500, 0.1)
    before = estimator.tokens_per_second
    estimator.add(500, 0.1 * stall)
    assert estimator.tokens_per_second >= before / MAX_SLOWDOWN * 0.999


@given(before=st.floats(100, 1000), after=st.floats(100, 1000), threads=st.integers(1, 4))
def test_a_lasting_change_is_followed(before: float, after: float, threads: int) -> None:
    estimator = ThroughputEstimator(threads)
    tokens, busy = 100, 0.0
    for _ in range(200):
        estimator.add(tokens, tokens / before)
    while busy < 20 * threads * HALF_LIFE_SECONDS:
        estimator.add(tokens, tokens / after)
        busy += tokens / after
    assert estimator.tokens_per_second == pytest.approx(threads * after, rel=0.01)


@pytest.mark.parametrize(("tokens", "seconds"), [(0, 1.0), (10, 0.0), (10, -1.0), (-1, 1.0)])
def test_measurements_of_nothing_are_ignored(tokens: int, seconds: float) -> None:
    estimator = ThroughputEstimator(1)
    estimator.add(tokens, seconds)
    assert estimator.tokens_per_second == 0
    estimator.add(100, 1.0)
    estimator.add(tokens, seconds)
    assert estimator.tokens_per_second == 100
