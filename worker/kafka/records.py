"""A record to publish: what it holds, where it goes, and its bytes in a request. Pure."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from schemas.rejection import Header

RECORD_OVERHEAD = 512
"""Bytes of a batch's and a record's own fields (61 + at most 36), with headers' lengths, rounded
up generously: a record that we think fits must never be refused by the broker."""

BATCH_BYTES = 64 * 1024
"""Of one batch, before compression; a larger record has a batch of its own."""

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
    order.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    source_partition: int

    @property
    def size(self) -> int:
        headers = sum(len(name.encode()) + len(text or b"") for name, text in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers + RECORD_OVERHEAD


def partition_for(record: OutputRecord, partitions: Sequence[int]) -> int:
    """The partition that it goes to: as the Java client has it for a key; by the question's
    partition without one.
    """
    number = record.source_partition if record.key is None else murmur2(record.key) & 0x7FFFFFFF
    return partitions[number % len(partitions)]


def build_batches(
    records: Sequence[OutputRecord], state: tuple[int, int, int], size: int, compression: str
) -> list[bytes]:
    """Transactional batches of at most `size` bytes, or of one record. `state` is the producer's
    id and epoch, and the sequence number of the first record.
    """
    producer_id, epoch, sequence = state
    now = int(time.time() * 1000)
    batches: list[bytes] = []
    builder: Any = None
    count = 0
    for record in records:
        while builder is None or not builder.append(
            count, now, record.key, record.value, list(record.headers)
        ):
            if builder is not None:
                batches.append(bytes(builder.build()))
                sequence, count = next_sequence(sequence, count), 0
            builder = DefaultRecordBatchBuilder(
                magic=2,
                compression_type=_CODECS[compression],
                is_transactional=1,
                producer_id=producer_id,
                producer_epoch=epoch,
                base_sequence=sequence,
                batch_size=size,
            )
        count += 1
    if builder is not None:
        batches.append(bytes(builder.build()))
    return batches


def next_sequence(sequence: int, count: int) -> int:
    """The sequence number after `count` records: 31 bits, which start again at 0."""
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
    """Its timestamp, if it has one: when it was made, or came to the topic, since the epoch."""

    @property
    def size(self) -> int:
        """Bytes of key, value and headers: what the record costs while it is in flight."""
        headers = sum(len(name.encode()) + len(text or b"") for name, text in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    @property
    def default_id(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"
