"""Publishes replayed records: transactions of the group's one replay producer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)

from worker.dead_letters.dead_letter import DeadLetter, SkipReason
from worker.kafka.acl import format_missing
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.cluster_support import SEE, RefusedError, require_transactions
from worker.kafka.diagnostics import explain_connection_errors
from worker.kafka.errors import StreamingError, format_error
from worker.kafka.records import OutputRecord
from worker.kafka.topics import Topic
from worker.kafka.transactions import TransactionalProducer
from worker.settings import KafkaSettings

TRANSACTION_RECORDS = 500
TRANSACTION_BYTES = 1024 * 1024
"""Bounds of one transaction: 16 batches, which take far less than KAFKA_TRANSACTION_TIMEOUT_MS. A
larger record has a transaction of its own."""

INIT_TIMEOUT_SECONDS = 45.0
"""For InitProducerId, which waits until the previous replay's open transaction is aborted."""

ABORT_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What the replay did with a dead letter: sent it to `target`, or skipped it."""

    dead_letter: DeadLetter
    skip: SkipReason | None = None
    target: TopicPartition | None = None


class ReplayTransaction:
    """Collects the records of the next transaction."""

    def __init__(self, producer: TransactionalProducer) -> None:
        self._producer = producer
        self._pending: list[tuple[ReplayResult, OutputRecord]] = []
        self._bytes = 0
        self._sent = 0

    def is_full(self, record: OutputRecord) -> bool:
        """Whether the transaction has no space left for `record`."""
        return bool(self._pending) and (
            len(self._pending) >= TRANSACTION_RECORDS
            or self._bytes + record.size > TRANSACTION_BYTES
        )

    def add(self, result: ReplayResult, record: OutputRecord) -> None:
        self._pending.append((result, record))
        self._bytes += record.size

    async def publish(self, on_result: Callable[[ReplayResult], None]) -> None:
        """Commit the transaction, then report its results. Raises `StreamingError`."""
        try:
            await self._producer.commit([record for _, record in self._pending])
        except (InvalidProducerEpoch, ProducerFenced):
            raise StreamingError(
                f"another replay of this group has started and fenced this one, which has sent "
                f"{self._sent} dead letters"
            ) from None
        except BaseException as error:
            await self._abort()
            if not isinstance(error, (KafkaError, TimeoutError)):
                raise
            raise StreamingError(
                f"the replay failed after {self._sent} dead letters: {format_error(error)}; run it "
                f"again, it skips those that were sent"
            ) from error
        for result, _ in self._pending:
            on_result(result)
        self._sent += len(self._pending)
        self._pending, self._bytes = [], 0

    async def _abort(self) -> None:
        """Try to abort the open transaction by fencing it. Otherwise the worker cannot read beyond
        it until its coordinator aborts it after KAFKA_TRANSACTION_TIMEOUT_MS.
        """
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(ABORT_TIMEOUT_SECONDS):
                await self._producer.init_transactions()


def replay_transactional_id(kafka: KafkaSettings) -> str:
    """All replays of a group share this id, so that a replay fences the one before it."""
    return f"{kafka.group_id}-dead-letters-replay"


@asynccontextmanager
async def replay_producer(
    kafka: KafkaSettings, questions: Iterable[Topic]
) -> AsyncIterator[TransactionalProducer]:
    """Yields a producer that has fenced every earlier replay. Raises `StreamingError`,
    `KafkaError`.
    """
    name = replay_transactional_id(kafka)
    client = BrokerClient(client_for_transactions(kafka))
    limits = {topic.name: topic.max_message_bytes for topic in questions}
    producer = TransactionalProducer(client, kafka, name, limits)
    try:
        async with explain_connection_errors(kafka):
            await client.start()
        try:
            async with asyncio.timeout(INIT_TIMEOUT_SECONDS):
                await require_transactions(kafka, name)
                await producer.init_transactions()
        except RefusedError as refused:
            raise StreamingError(
                f"{kafka.bootstrap_servers} has no transactions, by which the replay sends each "
                f"dead letter once ({refused}); send the questions with a client of your own; {SEE}"
            ) from None
        except TimeoutError:
            raise StreamingError(
                f"no producer id for the replay within {INIT_TIMEOUT_SECONDS:g} s: the coordinator "
                f"of {name} is unavailable, or the transaction of an "
                f"earlier replay is still open; try again later"
            ) from None
        except TransactionalIdAuthorizationFailed:
            missing = [f"WRITE on transactional id {name}"]
            raise StreamingError(format_missing(kafka, missing)) from None
        yield producer
    finally:
        await client.stop()
