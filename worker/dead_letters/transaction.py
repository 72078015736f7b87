"""Dead letters on their way out: a transaction's worth of them, and the producer they belong to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerFenced

from worker.dead_letters.dead_letter import DeadLetter, SkipReason
from worker.kafka.connection import connection_options
from worker.kafka.errors import StreamingError, format_error
from worker.kafka.producer import encode_value, serialize_value, stop_producer
from worker.kafka.records import BATCH_BYTES, OutputRecord
from worker.kafka.topics import Topic
from worker.settings import KafkaSettings, Settings

TRANSACTION_LETTERS = 500
TRANSACTION_BYTES = 8 * 1024 * 1024
"""What is held in memory and sent in one transaction: done well within TRANSACTION_SECONDS."""

TRANSACTION_SECONDS = 45.0
"""For one transaction; brokers abort it after 60 s (transaction.timeout.ms, its default)."""

CLOSE_SECONDS = 5.0
"""For the end of a replay that failed."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What becomes of a letter that was meant: it is sent to `partition` of the questions topic, or
    skipped.
    """

    letter: DeadLetter
    skip: SkipReason | None = None
    partition: int | None = None


class ReplayTransaction:
    """What goes out in the next transaction."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._waiting: list[tuple[ReplayResult, OutputRecord]] = []
        self._bytes = 0
        self._sent = 0

    def is_full(self, record: OutputRecord) -> bool:
        """Whether there is no room for `record`; a single one always has."""
        return bool(self._waiting) and (
            len(self._waiting) >= TRANSACTION_LETTERS
            or self._bytes + record.size > TRANSACTION_BYTES
        )

    def add(self, fate: ReplayResult, record: OutputRecord) -> None:
        self._waiting.append((fate, record))
        self._bytes += record.size

    async def publish(self, tell: Callable[[ReplayResult], None]) -> None:
        """All of it, or nothing."""
        if not self._waiting:
            return
        try:
            async with asyncio.timeout(TRANSACTION_SECONDS):
                await self._transaction()
        except ProducerFenced:
            raise StreamingError(
                f"another replay of this group has begun and ends this one, which has sent "
                f"{self._sent} letters"
            ) from None
        except (AssertionError, KafkaError, TimeoutError) as error:
            raise StreamingError(
                f"the replay ends after {self._sent} letters: {format_error(error)}; run it again, "
                f"it skips what has arrived"
            ) from error
        for fate, _ in self._waiting:
            tell(fate)
        self._sent += len(self._waiting)
        self._waiting, self._bytes = [], 0

    async def _transaction(self) -> None:
        producer = self._producer
        await producer.begin_transaction()
        try:
            sends: list[asyncio.Future[Any]] = [
                await producer.send(
                    record.topic,
                    value=encode_value(record.value),
                    key=record.key,
                    partition=fate.partition,
                    headers=record.headers,
                )
                for fate, record in self._waiting
            ]
            # aiokafka commits a transaction whose sends have failed, without them.
            done = await asyncio.gather(*sends, return_exceptions=True)
            for outcome in done:
                if isinstance(outcome, BaseException):
                    raise outcome
        except BaseException:
            # So that readers need not wait for its timeout. If this fails, they do.
            with suppress(AssertionError, KafkaError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await producer.abort_transaction()
            raise
        await producer.commit_transaction()


def replay_transactional_id(kafka: KafkaSettings) -> str:
    """One for all replays of a group, so that each ends the one before it."""
    return f"{kafka.group_id}-dead-letters-replay"


@asynccontextmanager
async def replay_producer(settings: Settings, questions: Topic) -> AsyncIterator[AIOKafkaProducer]:
    """Once it is there, no replay before it sends any more. Raises `StreamingError` and
    `KafkaError`.
    """
    kafka = settings.kafka
    producer = AIOKafkaProducer(
        **connection_options(kafka),
        replay_transactional_id=replay_transactional_id(kafka),
        max_request_size=questions.max_message_bytes,
        max_batch_size=min(BATCH_BYTES, questions.max_message_bytes),
        linger_ms=kafka.linger_ms,
        compression_type=None if kafka.compression_type == "none" else kafka.compression_type,
        value_serializer=serialize_value,
    )
    try:
        try:
            async with asyncio.timeout(TRANSACTION_SECONDS):
                await producer.start()
        except TimeoutError:
            raise StreamingError(
                f"the brokers have not let a replay begin within {TRANSACTION_SECONDS:g} s; is the "
                f"last one's transaction still open?"
            ) from None
        yield producer
    finally:
        with suppress(TimeoutError):
            await stop_producer(producer, seconds=CLOSE_SECONDS)
