"""The idempotent producer of at-least-once delivery. Committing offsets is the caller's task."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from worker.kafka._aiokafka import force_close_producer
from worker.kafka.connection import connection_options
from worker.kafka.deadline import deadline
from worker.kafka.records import BATCH_BYTES, OutputRecord, partition_for
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

# aiokafka asserts that a record has a key or a value, but a dead letter keeps the shape of its
# record, which may have neither. The assertion runs before the value is serialized.
_NULL_VALUE = object()

_AUTHORIZATION_CHECK_SECONDS = 1.0
"""How often a pending acknowledgement is checked for a missing permission."""


def encode_value(value: bytes | None) -> Any:
    """The argument to `send` of a producer with `serialize_value` as its `value_serializer`."""
    return _NULL_VALUE if value is None else value


def serialize_value(value: Any) -> bytes | None:
    return None if value is _NULL_VALUE else value


class IdempotentProducer:
    """Publishes records in order, each at least once."""

    def __init__(self, kafka: KafkaSettings, limits: Mapping[str, int]) -> None:
        """`limits` maps a topic to its `max.message.bytes`."""
        compression = None if kafka.compression_type == "none" else kafka.compression_type
        self._producer = AIOKafkaProducer(
            **connection_options(kafka),
            enable_idempotence=True,
            acks="all",
            linger_ms=kafka.linger_ms,
            compression_type=compression,
            max_batch_size=min(BATCH_BYTES, *limits.values()),
            max_request_size=max(limits.values()),
            value_serializer=serialize_value,
        )

    async def start(self) -> None:
        """Raises `KafkaError`."""
        await self._producer.start()

    async def stop(self, *, seconds: float) -> None:
        """Wait for acknowledgements, then close. Raises `TimeoutError` after `seconds`; the
        connections are then closed, too.
        """
        try:
            async with deadline(seconds, "acknowledgement of what was sent"):
                await self._producer.stop()
        except TimeoutError:
            await force_close_producer(self._producer)
            raise

    async def send(self, record: OutputRecord) -> "asyncio.Future[Any]":
        """Buffer the record; the future is its acknowledgement.

        Records are sent in the order of these calls. Waits while the buffer is full.
        """
        partition = partition_for(record, sorted(await self._producer.partitions_for(record.topic)))
        while True:
            try:
                future: asyncio.Future[Any] = await self._producer.send(
                    record.topic,
                    value=encode_value(record.value),
                    key=record.key,
                    partition=partition,
                    headers=record.headers,
                )
            except KafkaTimeoutError:
                # The buffer is still full since the brokers are unreachable. The record is not
                # buffered, so repeat; the watchdog limits how long.
                log.warning("producer_buffer_full", topic=record.topic, partition=partition)
            else:
                return future

    async def wait_acknowledged(self, future: "asyncio.Future[Any]") -> None:
        """Wait for an acknowledgement. Raises `KafkaError`.

        If the topic may no longer be described, aiokafka finds no leader and requests metadata
        in a busy loop until the request times out; this raises within about a second.
        """
        while not future.done():
            await asyncio.wait([future], timeout=_AUTHORIZATION_CHECK_SECONDS)
            unauthorized = self._producer.client.cluster.unauthorized_topics
            if not future.done() and unauthorized:
                raise TopicAuthorizationFailedError(", ".join(sorted(unauthorized)))
        future.result()
