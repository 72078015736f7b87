"""The size of transactions follows the rate at which the brokers take records."""

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.transaction_size import (
    FIRST_BYTES,
    LARGEST_BYTES,
    SMALLEST_BYTES,
    TransactionSize,
)

TIMEOUT = 10.0
RATES = st.floats(1, 1e9)
"""Bytes per second."""
SECONDS = st.floats(0, 100)


def run(size: TransactionSize, rate: float, transactions: int) -> list[float]:
    """Full transactions under a quota. Returns their durations in seconds."""
    durations = []
    for _ in range(transactions):
        sent = size.limit
        durations.append(sent / rate)
        if durations[-1] > TIMEOUT:
            size.aborted()
        else:
            size.committed(sent, 0.0, durations[-1])
    return durations


@given(st.lists(st.none() | st.tuples(st.integers(0, 2**21), SECONDS, SECONDS)))
def test_the_limit_stays_within_its_bounds(
    transactions: list[tuple[int, float, float] | None],
) -> None:
    size = TransactionSize(TIMEOUT)
    for each in transactions:
        if each is None:
            size.aborted()
        else:
            size.committed(*each)
        assert SMALLEST_BYTES <= size.limit <= LARGEST_BYTES


@given(st.lists(RATES, min_size=1, max_size=5))
def test_transactions_end_in_time_soon_after_any_change_of_the_rate(rates: list[float]) -> None:
    size = TransactionSize(TIMEOUT)
    for rate in rates:
        run(size, rate, 12)
        settled = run(size, rate, 20)
        assert max(settled) <= max(TIMEOUT, SMALLEST_BYTES / rate)


@given(RATES)
def test_without_a_quota_transactions_grow_to_the_largest(rate: float) -> None:
    size = TransactionSize(TIMEOUT)
    run(size, rate, 12)
    run(size, 1e9, 12)
    assert size.limit == LARGEST_BYTES


def test_small_transactions_do_not_raise_the_limit() -> None:
    size = TransactionSize(TIMEOUT)
    for _ in range(10):
        size.committed(100, 0.01, 0.0)
    assert size.limit == FIRST_BYTES


def test_slow_transactions_of_few_bytes_do_not_keep_the_limit_small() -> None:
    """Brokers that were away: what is slow is not the number of bytes."""
    size = TransactionSize(TIMEOUT)
    for _ in range(10):
        size.aborted()
    assert size.limit == SMALLEST_BYTES
    for _ in range(12):
        size.committed(size.limit, 0.4 * TIMEOUT, 0.0)
    assert size.limit == LARGEST_BYTES
