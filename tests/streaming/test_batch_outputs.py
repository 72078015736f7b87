"""Records with several outputs, and with none."""

from worker.kafka.records import OutputRecord, partition_for
from worker.kafka.refusals import Refusal
from worker.streaming.delivery.base import ProcessedRecord
from worker.streaming.delivery.outputs import BatchOutputs

WHY = Refusal("t", "INVALID_RECORD", "no key", too_large=False)


def output(value: bytes, partition: int | None = None) -> OutputRecord:
    return OutputRecord("t", b"k", value, (), source_partition=0, partition=partition)


BATCH = [
    ProcessedRecord(5, (output(b"a"), output(b"b")), None),
    ProcessedRecord(6, (), None),
    ProcessedRecord(9, (output(b"c"),), None),
]


def test_a_refusal_names_the_record_and_the_output_of_it() -> None:
    outputs = BatchOutputs(BATCH)
    assert [each.value for each in outputs.records] == [b"a", b"b", b"c"]
    assert outputs.refused({1: WHY, 2: WHY}) == {5: {1: WHY}, 9: {0: WHY}}


def test_the_index_of_an_output_counts_those_that_are_not_sent() -> None:
    outputs = BatchOutputs(BATCH, lambda _, each: each is not BATCH[0].outputs[0])
    assert [each.value for each in outputs.records] == [b"b", b"c"]
    assert outputs.refused({0: WHY}) == {5: {1: WHY}}
    assert outputs.with_offsets([0]) == [(5, BATCH[0].outputs[1])]


def test_the_size_of_a_record_is_that_of_all_its_outputs() -> None:
    assert [each.size for each in BATCH] == [2 * output(b"a").size, 0, output(b"c").size]


def test_a_named_partition_precedes_the_keys_hash() -> None:
    assert partition_for(output(b"a", partition=3), range(8)) == 3
    assert partition_for(output(b"a"), range(8)) == partition_for(output(b"b"), range(8)) != 3
