"""What one response to Fetch yields, and what of it is left to the next one; without a broker."""

from typing import Any

from aiokafka import TopicPartition
from structlog.testing import capture_logs

from tests.kafka.raw_batches import batch, record, with_wrong_crc
from worker.kafka._aiokafka_records import _TolerantRecords
from worker.kafka.record_batches import MessageSet
from worker.kafka.records import UnreadableBatch
from worker.kafka.stopped_partitions import LOG_SECONDS, RETRY_SECONDS, StoppedPartitions

KIB = 1024
LIMIT = 64 * KIB


def fetched(data: bytes, *, offset: int = 0, skip: bool = False) -> tuple[list[Any], int]:
    """The records of the response, and the offset of the next fetch."""
    records = _TolerantRecords(
        *(TopicPartition("q", 0), MessageSet(data), [], offset, None, None, True, 1),
        max_batch_bytes=LIMIT,
        skip_unreadable=skip,
    )
    return list(records), records.next_fetch_offset


def batch_at(offset: int, size: int, count: int = 1) -> bytes:
    made = [record(n, b"a" * size) for n in range(count)]
    return batch(made, base_offset=offset, codec="zstd")


def test_one_fetch_decompresses_a_bounded_number_of_bytes() -> None:
    batches = b"".join(batch_at(n, 50 * KIB) for n in range(10))
    records, position = fetched(batches)
    assert ([each.offset for each in records], position) == ([0, 1], 2)
    records, position = fetched(batches, offset=8)
    assert ([each.offset for each in records], position) == ([8, 9], 10)


def test_one_fetch_decompresses_one_batch_that_is_too_large() -> None:
    bombs = batch_at(0, KIB) + batch_at(1, LIMIT, count=4) + batch_at(5, LIMIT, count=4)
    (good, bomb), position = fetched(bombs)
    assert (good.offset, bomb.offset, bomb.next_offset, bomb.skipped) == (0, 1, 5, True)
    assert position == 5


def test_reading_ends_at_a_corrupt_batch_or_goes_on_behind_it() -> None:
    data = batch_at(0, 9) + with_wrong_crc(batch_at(1, 9, count=2)) + batch_at(3, 9)
    (good, corrupt), position = fetched(data)
    assert (good.offset, corrupt.offset, corrupt.next_offset) == (0, 1, 3)
    assert (corrupt.skipped, position) == (False, 1)
    (_, skipped, last), position = fetched(data, skip=True)
    assert (skipped.skipped, last.offset, position) == (True, 3, 4)


def test_stopped_partition_is_read_again_and_logged_once_in_a_while() -> None:
    now = 0.0
    stopped = StoppedPartitions(lambda: now)
    partition = TopicPartition("q", 3)
    corrupt = UnreadableBatch("q", 3, 17, 20, "its CRC is wrong", skipped=False)
    with capture_logs() as logs:
        while now <= LOG_SECONDS:
            stopped.stop(corrupt)
            assert stopped.due() == []
            now += RETRY_SECONDS
            assert stopped.due() == [partition]
            assert stopped.due() == [], "it is being read"
        stopped.read(TopicPartition("q", 4))
        assert stopped.reasons == {partition: "offset 17: its CRC is wrong"}
        stopped.read(partition)
    assert stopped.reasons == {}
    assert [each["event"] for each in logs] == ["partition_stopped"] * 2 + ["partition_resumed"]
    assert (logs[0]["topic"], logs[0]["partition"], logs[0]["offset"]) == ("q", 3, 17)
