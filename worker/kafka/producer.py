"""Publish, at least once: an idempotent producer, and what each topic takes.

Knows records, not questions. Committing is left to whoever knows what the records answer.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from worker.kafka.connection import connection_options
from worker.kafka.records import BATCH_BYTES, OutputRecord, partition_for
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

# aiokafka asserts that key or value is there, but a record that has neither must keep its shape
# in the dead letters. The assertion looks at the value before it is serialized.
_NULL_VALUE = object()

_LOOK_SECONDS = 1.0
"""An acknowledgement that takes so long is reason to look whether it can come at all."""


def encode_value(value: bytes | None) -> Any:
    """A record's value, as `send` takes it of a producer whose serializer is `serialize_value`."""
    return _NULL_VALUE if value is None else value


def serialize_value(value: Any) -> bytes | None:
    return None if value is _NULL_VALUE else value


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


class IdempotentProducer:
    """The producer. `limits` is topic to `max.message.bytes`."""

    def __init__(self, kafka: KafkaSettings, limits: Mapping[str, int]) -> None:
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
        await self._producer.start()

    async def stop(self, *, seconds: float) -> None:
        """Wait for what was sent, then close. Raises `TimeoutError` where that takes too long."""
        await stop_producer(self._producer, seconds=seconds)

    async def send(self, record: OutputRecord) -> "asyncio.Future[Any]":
        """Hand the record to the producer; the future is its acknowledgement.

        Records leave in the order of these calls. Returns when the record is in the producer's
        buffer, which takes as long as the buffer is full.
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
                # The buffer stayed full: the brokers are away. Nothing was sent, so try again;
                # how long that may go on is the watchdog's to say.
                log.warning("producer_buffer_full", topic=record.topic, partition=partition)
            else:
                return future

    async def acknowledged(self, future: "asyncio.Future[Any]") -> None:
        """Wait until the brokers have the record that `send` took. Raises `KafkaError`.

        A topic that may not be described any more has no leader, and aiokafka asks for that again
        and again, as fast as it can, until the request's time is over.
        """
        while not future.done():
            await asyncio.wait([future], timeout=_LOOK_SECONDS)
            if not future.done() and (hidden := self._producer.client.cluster.unauthorized_topics):
                raise TopicAuthorizationFailedError(", ".join(sorted(hidden)))
        future.result()
