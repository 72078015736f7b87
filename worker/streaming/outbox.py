"""Publish, at least once: an idempotent producer, and what each topic takes.

Knows records, not questions. Committing is left to whoever knows what the records answer.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.partitioner import murmur2

from schemas.rejection import Header
from worker.settings import KafkaSettings
from worker.streaming.client import connection_options

log = structlog.get_logger(__name__)

RECORD_OVERHEAD = 512
"""Bytes of a batch's and a record's own fields (61 + at most 36), with headers' lengths, rounded
up generously: a record that we think fits must never be refused by the broker."""

_BATCH_BYTES = 64 * 1024

# aiokafka asserts that key or value is there, but a record that has neither must keep its shape
# in the dead letters. The assertion looks at the value before it is serialized.
_NULL = object()


def given(value: bytes | None) -> Any:
    """A record's value, as `send` takes it of a producer whose serializer is `serialize`."""
    return _NULL if value is None else value


def serialize(value: Any) -> bytes | None:
    return None if value is _NULL else value


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish. `lane` is the partition of the question: it decides where a record
    without a key goes, so that the answers of one partition stay in order."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    lane: int

    @property
    def size(self) -> int:
        headers = sum(len(name.encode()) + len(text or b"") for name, text in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers + RECORD_OVERHEAD


def partition_of(record: Outgoing, partitions: Iterable[int]) -> int:
    """As the Java client has it for a key; by the question's partition without one."""
    numbers = sorted(partitions)
    place = record.lane if record.key is None else murmur2(record.key) & 0x7FFFFFFF
    return numbers[place % len(numbers)]


async def stop_producer(producer: AIOKafkaProducer, *, seconds: float) -> None:
    """Wait for what was sent, then close. Raises `TimeoutError` where that takes too long: with the
    brokers away an idempotent producer would wait for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await producer.stop()
    except TimeoutError:
        await producer._sender.close()
        await producer.client.close()
        raise


class Outbox:
    """The producer. `limits` is topic to `max.message.bytes`."""

    def __init__(self, kafka: KafkaSettings, limits: Mapping[str, int]) -> None:
        self._limits = limits
        compression = None if kafka.compression_type == "none" else kafka.compression_type
        self._producer = AIOKafkaProducer(
            **connection_options(kafka),
            enable_idempotence=True,
            acks="all",
            linger_ms=kafka.linger_ms,
            compression_type=compression,
            max_batch_size=min(_BATCH_BYTES, *limits.values()),
            max_request_size=max(limits.values()),
            value_serializer=serialize,
        )

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self, *, seconds: float) -> None:
        """Wait for what was sent, then close. Raises `TimeoutError` where that takes too long."""
        await stop_producer(self._producer, seconds=seconds)

    def fits(self, record: Outgoing) -> bool:
        """Whether the topic takes a record of this size."""
        return record.size <= self._limits[record.topic]

    async def send(self, record: Outgoing) -> "asyncio.Future[Any]":
        """Hand the record to the producer; the future is its acknowledgement.

        Records leave in the order of these calls. Returns when the record is in the producer's
        buffer, which takes as long as the buffer is full.
        """
        partition = partition_of(record, await self._producer.partitions_for(record.topic))
        while True:
            try:
                future: asyncio.Future[Any] = await self._producer.send(
                    record.topic,
                    value=given(record.value),
                    key=record.key,
                    partition=partition,
                    headers=record.headers,
                )
            except KafkaTimeoutError:
                # The buffer stayed full: the brokers are away. Nothing was sent, so try again;
                # how long that may go on is the watchdog's to say.
                log.warning("publish_waits", topic=record.topic, partition=partition)
            else:
                return future
