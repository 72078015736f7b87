"""The size that we count for a record is what a broker counts, whatever its key and headers."""

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.records import OutputRecord, build_batches

BYTES = st.none() | st.binary(max_size=300)
HEADERS = st.lists(st.tuples(st.text(max_size=5), BYTES), max_size=300)

STATE = (2**62, 2**14, 2**30)
"""A producer's id, epoch and sequence number."""

SPARE = 21
"""Most bytes by which the count may exceed the truth."""


def encoded(*records: OutputRecord, size: int = 2**20) -> list[int]:
    """Bytes of each batch, as a broker compares them with max.message.bytes."""
    batches = build_batches(records, STATE, size, "none", transactional=True)
    return [len(batch.data) for batch in batches]


@given(BYTES, BYTES, HEADERS)
def test_size_is_that_of_the_encoded_batch(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = OutputRecord("t", key, value, headers, source_partition=0)
    (size,) = encoded(record)
    assert size <= record.size <= size + SPARE


def test_thousands_of_small_headers_count_with_their_lengths() -> None:
    record = OutputRecord("t", b"k", b"x" * 900_000, [("h", b"")] * 20_000, source_partition=0)
    (size,) = encoded(record)
    assert size > 960_000
    assert size <= record.size <= size + SPARE


def test_a_batch_size_of_zero_gives_every_record_its_own_batch() -> None:
    records = [OutputRecord("t", None, b"x", (), source_partition=0)] * 3
    batches = build_batches(records, STATE, 0, "none", transactional=False)
    assert [batch.count for batch in batches] == [1, 1, 1]
