"""The other side of the topics: send questions, and wait for what becomes of them.

For the commands and the tests; a producer team uses any Kafka client.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.rejection import PREFIX, REASON, Header
from worker.kafka.acl import Operation, RequiredAcls
from worker.kafka.connection import connection_options
from worker.kafka.topics import require_topics
from worker.settings import Settings

RecordPosition = tuple[str, int, int]
"""Topic, partition and offset of a question."""


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """What came back for a question: an answer (`reason` is empty), or a dead letter."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    reason: str = ""
    detail: str = ""


class QuestionClient:
    """`async with Asker(settings) as asker`, `send`, then `outcome`. Sees what arrives after it
    was opened; works for plain JSON answers.
    """

    def __init__(self, settings: Settings) -> None:
        qa, options = settings.qa, connection_options(settings.kafka)
        self._settings = settings
        self._questions = qa.questions_topic
        self._answers = qa.answers_topic
        self._letters = qa.dead_letters_topic
        self._producer = AIOKafkaProducer(
            **options, enable_idempotence=True, max_request_size=64 * 1024 * 1024
        )
        self._consumer = AIOKafkaConsumer(**options, isolation_level="read_committed")
        self._outcomes: dict[RecordPosition, QuestionResult] = {}
        self._arrived = asyncio.Condition()
        self._collecting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises `StreamingError` where a topic or a right is missing, `KafkaError`."""
        rights = {
            self._questions: (Operation.WRITE,),
            self._answers: (Operation.READ,),
            self._letters: (Operation.READ,),
        }
        try:
            await require_topics(self._settings, RequiredAcls(rights))
            await self._producer.start()
            await self._consumer.start()
            partitions = [
                TopicPartition(topic, number)
                for topic in (self._answers, self._letters)
                for number in await self._producer.partitions_for(topic)
            ]
            self._consumer.assign(partitions)
            await self._consumer.seek_to_end(*partitions)
            # Only now is "after it was opened" settled.
            for partition in partitions:
                await self._consumer.position(partition)
        except BaseException:
            await self._close()
            raise
        self._collecting = asyncio.create_task(self._collect())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._collecting is not None:
            self._collecting.cancel()
        await self._close()

    async def send(
        self, value: bytes | None, *, key: bytes | None = None, headers: Sequence[Header] = ()
    ) -> RecordPosition:
        """Send one record to the questions topic; where it lies there."""
        sent: Any = await self._producer.send_and_wait(
            self._questions, value, key=key, headers=list(headers)
        )
        return sent.topic, sent.partition, sent.offset

    async def outcome(self, place: RecordPosition, *, seconds: float) -> QuestionResult:
        """What became of the question at `place`. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: place in self._outcomes or self._failed)
            if self._failed and self._collecting is not None:
                self._collecting.result()
            return self._outcomes[place]

    @property
    def _failed(self) -> bool:
        return self._collecting is not None and self._collecting.done()

    async def _collect(self) -> None:
        try:
            async for record in self._consumer:
                place, outcome = self._read(record)
                async with self._arrived:
                    self._outcomes[place] = outcome
                    self._arrived.notify_all()
        finally:
            async with self._arrived:
                self._arrived.notify_all()

    def _read(self, record: Any) -> tuple[RecordPosition, QuestionResult]:
        if record.topic == self._answers:
            source = json.loads(record.value)["source"]
            place = (source["topic"], source["partition"], source["offset"])
            return place, QuestionResult(record.key, record.value, record.headers)
        named = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
        place = (
            named[f"{PREFIX}topic"],
            int(named[f"{PREFIX}partition"]),
            int(named[f"{PREFIX}offset"]),
        )
        return place, QuestionResult(
            record.key,
            record.value,
            record.headers,
            reason=named[REASON],
            detail=named[f"{PREFIX}exception.message"],
        )

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()
