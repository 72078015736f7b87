"""Input and output records: sizes, target partitions, and encoded batches. Pure."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from schemas.rejection import LAST_OFFSET, Header, Reason, Rejected
from worker.kafka.record_batches import UndecodableFields

BATCH_BYTES = 64 * 1024
"""Maximum size of a batch before compression; a larger record has a batch of its own."""

_CODECS = {
    "none": 0,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A record to publish. A record without a key goes to the target partition that
    `source_partition`, the input record's partition, maps to: so one partition's answers stay in
    order. With `partition` it goes to that partition of its topic.

    A `foreign` topic is not one of the worker's own: if it, its partition, or the right to write to
    it does not exist, the record is refused, and the worker goes on.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    source_partition: int
    partition: int | None = None
    foreign: bool = False

    @property
    def size(self) -> int:
        """Bytes of the record in a batch of its own, as the broker compares them with
        `max.message.bytes`: the encoded key, value and headers with their lengths, the batch's 61
        bytes, and at most 21 for the record's own fields. Never less than the true size.
        """
        return int(
            DefaultRecordBatchBuilder.estimate_size_in_bytes(
                self.key, self.value, list(self.headers)
            )
        )


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """Where a record is."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


def _payload_bytes(key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> int:
    in_headers = sum(len(name.encode()) + len(text or b"") for name, text in headers)
    return len(key or b"") + len(value or b"") + in_headers


def partition_for(record: OutputRecord, partitions: Sequence[int]) -> int:
    """The target partition: the one that the record names; else by the key's hash, as the Java
    client's default partitioner does it; without a key, by the source partition.
    """
    if record.partition is not None:
        return record.partition
    number = record.source_partition if record.key is None else murmur2(record.key) & 0x7FFFFFFF
    return partitions[number % len(partitions)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of a target partition, encoded."""

    data: bytes
    count: int


def build_batches(
    records: Sequence[OutputRecord],
    state: tuple[int, int, int],
    size: int,
    compression: str,
    *,
    transactional: bool,
) -> list[Batch]:
    """Batches of at most `size` bytes before compression, or of one larger record. `state` is the
    producer's id, its epoch, and the first record's sequence number; each -1 without an id.
    """
    producer_id, epoch, sequence = state
    now = int(time.time() * 1000)
    batches: list[Batch] = []
    builder: Any = None
    count = 0
    for record in records:
        while builder is None or not builder.append(
            count, now, record.key, record.value, list(record.headers)
        ):
            if builder is not None:
                batches.append(Batch(bytes(builder.build()), count))
                # Without a producer's id no batch is numbered.
                sequence, count = next_sequence(sequence, count) if sequence >= 0 else -1, 0
            builder = DefaultRecordBatchBuilder(
                magic=2,
                compression_type=_CODECS[compression],
                is_transactional=int(transactional),
                producer_id=producer_id,
                producer_epoch=epoch,
                base_sequence=sequence,
                batch_size=size,
            )
        count += 1
    if builder is not None:
        batches.append(Batch(bytes(builder.build()), count))
    return batches


def next_sequence(sequence: int, count: int) -> int:
    """The sequence number after `count` records: 31 bits, wrapping to 0."""
    return (sequence + count) & 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A record from the questions topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    produced_ms: int | None = None
    """The record's creation or append time in milliseconds since 1970, if it has one."""
    undecodable: Rejected | None = None
    """Why the record could not be decoded; key, value and headers are what could be read of it."""
    first_offset: int | None = None
    """Of a record that stands for all records from this offset to `offset`: they cannot be read."""

    @property
    def size(self) -> int:
        """Bytes of key, value and headers, as counted while the record is in flight."""
        return _payload_bytes(self.key, self.value, self.headers)

    @property
    def default_id(self) -> str:
        """The id of an event that has none of its own."""
        return str(RecordPosition(self.topic, self.partition, self.offset))

    @property
    def place(self) -> dict[str, str | int]:
        """Topic, partition and offset, as the log's events name them."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class UndecodableRecord:
    """A record that cannot be decoded, with the fields of a ConsumerRecord as far as they could be
    read.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    detail: str
    """Why; one line."""

    @classmethod
    def of(cls, read: UndecodableFields, topic: str, partition: int) -> "UndecodableRecord":
        return cls(
            topic,
            partition,
            read.offset,
            read.timestamp,
            read.key,
            read.value,
            read.headers,
            read.detail,
        )


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """A batch, or the rest of one, that cannot be read, in the place of its records."""

    topic: str
    partition: int
    offset: int
    """The first that was not read."""
    next_offset: int | None
    """Behind the batch; None if its header cannot be trusted."""
    detail: str
    """Why; one line."""
    skipped: bool
    """Whether reading continues at `next_offset`; otherwise the next fetch reads the batch again.
    """


FetchedRecord: TypeAlias = (
    "ConsumerRecord[bytes | None, bytes | None] | UndecodableRecord | UnreadableBatch"
)


def to_input_record(fetched: FetchedRecord) -> InputRecord:
    """`fetched` is not an `UnreadableBatch` unless that was skipped: then the record stands for all
    records of the batch.
    """
    if isinstance(fetched, UnreadableBatch):
        assert fetched.next_offset is not None
        last = fetched.next_offset - 1
        detail = f"the batch of offsets {fetched.offset} to {last} cannot be read: {fetched.detail}"
        return InputRecord(
            fetched.topic,
            fetched.partition,
            last,
            None,
            None,
            ((LAST_OFFSET, str(last).encode()),),
            undecodable=Rejected(Reason.UNREADABLE_BATCH, detail),
            first_offset=fetched.offset,
        )
    undecodable = None
    if isinstance(fetched, UndecodableRecord):
        undecodable = Rejected(Reason.UNDECODABLE, fetched.detail)
    return InputRecord(
        fetched.topic,
        fetched.partition,
        fetched.offset,
        fetched.key,
        fetched.value,
        fetched.headers,
        fetched.timestamp if fetched.timestamp >= 0 else None,
        undecodable,
    )
