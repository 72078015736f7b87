"""A client of the topics: sends questions and waits for their answers or dead letters.

For the commands, the console and the tests; other systems use any Kafka client.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic_core import from_json

from schemas.answer import Source
from schemas.dead_letter import parse_dead_letter_headers
from schemas.rejection import Header
from schemas.unsure import ANSWER, SCORE, origin
from worker.kafka._aiokafka_records import RecordConsumer
from worker.kafka.acl import Operation, RequiredAcls
from worker.kafka.cluster_support import find_producer_ids
from worker.kafka.connection import connection_options
from worker.kafka.errors import StreamingError
from worker.kafka.records import RecordPosition, UnreadableBatch
from worker.kafka.topic_requirements import require_topics
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.schema_registry.answer_values import AnswerValues

_MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Larger than any topic's limit, so that the broker decides what is too large."""


REGISTRY_PAUSE_SECONDS = 0.5
"""Between two requests to a registry that does not answer."""

UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """The record that a question led to: an answer (`reason` is empty), a dead letter, or the
    question itself in the topic of unsure questions (`reason` is `UNSURE`).
    """

    key: bytes | None
    value: bytes | None
    """Of an answer: as JSON, whatever the record's format."""
    headers: Sequence[Header]
    reason: str = ""
    detail: str = ""


class QuestionClient:
    """`async with QuestionClient.open(settings) as client`; then `send` and `wait_for_result`.

    Sees answers and dead letters that are written after it was opened. Answers are read in every
    format of `QA_ANSWER_FORMAT`; records that are not from a worker are ignored, and so are answers
    in the structured mode of CloudEvents.
    """

    def __init__(
        self,
        settings: Settings,
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        questions_topic: str,
        answer_values: "AnswerValues",
    ) -> None:
        self._questions_topic = questions_topic
        self._answers_topic = settings.qa.answers_topic
        self._unsure_topic = settings.qa.unsure_topic
        self._producer = producer
        self._consumer = consumer
        self._answer_values = answer_values
        self.unread = ""
        """Why an answer, of this client or another, could not be read; empty if all could."""
        self._results: dict[RecordPosition, QuestionResult] = {}
        self._arrived = asyncio.Condition()
        self._collecting = asyncio.create_task(self._collect())

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, questions_topic: str | None = None
    ) -> AsyncIterator[Self]:
        """`questions_topic` is one of the settings' questions topics, by default the first.

        Raises `StreamingError` if a topic or an ACL is missing; `KafkaError`.
        """
        # Only here: a worker imports this module for its console.
        from worker.schema_registry.answer_values import AnswerValues

        async with (
            AnswerValues.open(settings) as answer_values,
            cls._open(settings, questions_topic, answer_values) as client,
        ):
            yield client

    @classmethod
    @asynccontextmanager
    async def _open(
        cls, settings: Settings, questions_topic: str | None, answer_values: "AnswerValues"
    ) -> AsyncIterator[Self]:
        qa, options = settings.qa, connection_options(settings.kafka)
        questions_topic = questions_topic or qa.questions_topic
        required: RequiredAcls = {
            questions_topic: (Operation.WRITE,),
            **dict.fromkeys(qa.output_topics, (Operation.READ,)),
        }
        await require_topics(settings, required)
        producer = AIOKafkaProducer(
            **options,
            # aiokafka would wait for ever for brokers that give no producer id.
            enable_idempotence=await find_producer_ids(settings.kafka),
            max_request_size=_MAX_REQUEST_BYTES,
        )
        consumer = RecordConsumer(
            max_batch_bytes=qa.max_batch_bytes,
            skip_unreadable=True,
            **options,
            isolation_level="read_committed",
        )
        try:
            await producer.start()
            await consumer.start()
            partitions = [
                TopicPartition(topic, number)
                for topic in qa.output_topics
                for number in await producer.partitions_for(topic)
            ]
            consumer.assign(partitions)
            await consumer.seek_to_end(*partitions)
            # seek_to_end is lazy: position() fetches the end offset now.
            for partition in partitions:
                await consumer.position(partition)
            client = cls(settings, producer, consumer, questions_topic, answer_values)
            try:
                yield client
            finally:
                await client.close()
        finally:
            await consumer.stop()
            await producer.stop()

    async def close(self) -> None:
        """Stop collecting results."""
        self._collecting.cancel()
        await asyncio.wait([self._collecting])

    async def send(
        self, value: bytes | None, *, key: bytes | None = None, headers: Sequence[Header] = ()
    ) -> RecordPosition:
        """Publish a record to the questions topic. Returns its position. Raises `KafkaError`."""
        sent: Any = await self._producer.send_and_wait(
            self._questions_topic, value, key=key, headers=list(headers)
        )
        return RecordPosition(sent.topic, sent.partition, sent.offset)

    async def wait_for_result(
        self, question: RecordPosition, *, timeout_seconds: float
    ) -> QuestionResult:
        """Raises `TimeoutError`, `KafkaError`, `StreamingError` (a topic cannot be read)."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            await self._arrived.wait_for(
                lambda: question in self._results or self._collecting.done()
            )
            if self._collecting.done():
                self._collecting.result()
            return self._results[question]

    async def _collect(self) -> None:
        try:
            async for record in self._consumer:
                if (parsed := await self._parse(record)) is None:
                    continue
                question, result = parsed
                async with self._arrived:
                    self._results[question] = result
                    self._arrived.notify_all()
        finally:
            async with self._arrived:
                self._arrived.notify_all()

    async def _parse(self, record: Any) -> tuple[RecordPosition, QuestionResult] | None:
        """The question's position and result; `None` if the record is not from a worker.

        Raises `StreamingError` where the topic cannot be read on.
        """
        if isinstance(record, UnreadableBatch):
            if record.skipped:
                return None
            raise StreamingError(
                f"{record.topic} partition {record.partition} cannot be read at offset "
                f"{record.offset}: {record.detail}"
            )
        if record.topic == self._answers_topic:
            value = await self._answer_json(record)
            try:
                source = Source.model_validate(from_json(value or b"")["source"])
            except (KeyError, TypeError, ValueError):
                return None
            # An answer to a question that was sent on is one to the question that was asked.
            asked = origin(record.headers) or (source.topic, source.partition, source.offset)
            return RecordPosition(*asked), QuestionResult(record.key, value, record.headers)
        if record.topic == self._unsure_topic:
            return self._parse_unsure(record)
        parsed = parse_dead_letter_headers(record.headers)
        if parsed.event is None:
            return None
        asked = origin(record.headers) or parsed.event
        return RecordPosition(*asked), QuestionResult(
            record.key, record.value, record.headers, reason=parsed.reason, detail=parsed.message
        )

    async def _answer_json(self, record: Any) -> bytes | None:
        """The answer's value as JSON, or None if it cannot be decoded. Waits for the registry:
        the time limit is that of `wait_for_result`.
        """
        while True:
            read = await self._answer_values.read(record.value, record.headers)
            self.unread = read.problem or self.unread
            if not read.is_registry_away:
                return read.json
            await asyncio.sleep(REGISTRY_PAUSE_SECONDS)

    def _parse_unsure(self, record: Any) -> tuple[RecordPosition, QuestionResult] | None:
        asked = origin(record.headers)
        if asked is None:
            return None
        added = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
        detail = (
            f"the score of {added.get(ANSWER, '')!r} is {added.get(SCORE, '')}, below min_score; "
            f"the question is in {record.topic}"
        )
        return RecordPosition(*asked), QuestionResult(
            record.key, record.value, record.headers, reason=UNSURE, detail=detail
        )
