"""Where a consumer starts, and goes on after "offset out of range". Pure."""

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.errors import StreamingError
from worker.kafka.start_offsets import GroupStart, next_offset
from worker.kafka.topic_ids import TopicIds

OLD, ADDED = TopicPartition("qa.questions", 0), TopicPartition("qa.questions", 1)
IDS = TopicIds("cluster", {"qa.questions": "id-1"})
NEW_GROUP = GroupStart(IDS, {OLD: 20})
"""A group without any offset, KAFKA_AUTO_OFFSET_RESET=latest."""
KNOWN_GROUP = GroupStart(IDS)


def test_latest_applies_to_a_group_without_offsets() -> None:
    assert NEW_GROUP.offset(OLD, None, beginning=3) == 20


def test_a_partition_added_to_a_new_group_starts_at_its_beginning() -> None:
    assert NEW_GROUP.offset(ADDED, None, beginning=3) == 3


def test_a_group_with_an_offset_reads_other_partitions_from_their_beginning() -> None:
    assert KNOWN_GROUP.offset(OLD, None, beginning=3) == 3


@pytest.mark.parametrize("metadata", ["", "cluster/id-1", "another-cluster/id-2", "a tool's note"])
def test_a_committed_offset_counts_whatever_else_is_known(metadata: str) -> None:
    committed = OffsetAndMetadata(7, metadata)
    assert NEW_GROUP.offset(OLD, committed, beginning=9) == 7


def test_an_offset_of_a_deleted_topic_of_that_name_is_refused() -> None:
    with pytest.raises(StreamingError, match=r"offset 7 of qa\.questions .*id-0, now id-1.*reset"):
        KNOWN_GROUP.offset(OLD, OffsetAndMetadata(7, "cluster/id-0"), beginning=0)


def test_reading_goes_on_with_the_oldest_record() -> None:
    assert next_offset(OLD, 5, beginning=20, end=45) == 20
    assert next_offset(OLD, 5, beginning=45, end=45) == 45


def test_a_partition_that_ends_before_the_position_is_refused() -> None:
    with pytest.raises(StreamingError, match=r"ends at offset 45.* up to 46.*--reset-offsets"):
        next_offset(OLD, 46, beginning=20, end=45)


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_no_record_that_is_there_is_skipped(position: int, beginning: int, length: int) -> None:
    end = beginning + length
    if position <= end:
        assert next_offset(OLD, position, beginning, end) == max(position, beginning)
