"""In-memory delivery and the objects around a partition: worker/streaming without Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka import TopicPartition

from tests.streaming.stub_engine import StubEngine
from worker.kafka.foreign_topics import ForeignTopics
from worker.kafka.receipts import Receipt
from worker.kafka.records import InputRecord
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.settings import Settings
from worker.settings.environment import load
from worker.streaming.assignment import Assignment
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.delivery.base import Partitions, ProcessedRecord, Tracker
from worker.streaming.delivery.commit_trace import CommitTrace
from worker.streaming.offset_tracker import StartOffsets
from worker.streaming.output_limits import OutputLimits
from worker.streaming.partition_context import PartitionContext
from worker.streaming.processor import RecordProcessor
from worker.streaming.replies import ReplyRouter
from worker.streaming.sample import Sample
from worker.streaming.schema_waits import ValueReader
from worker.streaming.unsure import UnsureQuestions

QUESTIONS = "qa.questions"
FIRST, SECOND = TopicPartition(QUESTIONS, 0), TopicPartition(QUESTIONS, 1)
NO_JSON = b"{"
MAX_BYTES = 100_000
"""Of the outputs of one delivery."""


def record(
    offset: int, partition: TopicPartition = FIRST, value: bytes | None = None, **more: Any
) -> InputRecord:
    """A question whose text is `partition-offset`, or `value`."""
    question = {"question": f"{partition.partition}-{offset}", "context": "c"}
    text = json.dumps(question).encode() if value is None else value
    return InputRecord(partition.topic, partition.partition, offset, None, text, (), **more)


async def _ask_nothing(request: Any) -> Any:
    raise AssertionError(f"{request} asks the brokers")


NO_FOREIGN_TOPICS = ForeignTopics(_ask_nothing, max_age=300)
NO_ENVIRONMENT: Mapping[str, str] = {}


BEGAN = 1_700_000_000_000_000_000
"""When the leader got what was published, in nanoseconds since the epoch."""


class FakeDelivery:
    """Appends what it publishes to a list, and commits with each delivery, like exactly-once."""

    foreign_topics = NO_FOREIGN_TOPICS

    def __init__(self, *, restarts_partition: bool = True, min_interval: float = 0.0) -> None:
        self.restarts_partition = restarts_partition
        self.min_interval = min_interval
        self.errors: list[Exception] = []
        """The next deliveries raise these instead of publishing."""
        self.published: list[tuple[TopicPartition, ProcessedRecord]] = []
        self.committed: dict[TopicPartition, int] = {}
        self.opened: list[TopicPartition] = []
        self.batches: list[int] = []
        """Records of each delivery."""
        self.traces = TraceDispatcher()
        self.acknowledging = asyncio.Event()
        """Deliveries wait for it."""
        self.acknowledging.set()

    def offsets(self, partition: TopicPartition = FIRST) -> list[int]:
        """The partition's published offsets, in the order of their delivery."""
        return [each.offset for at, each in self.published if at == partition]

    async def start(self) -> None: ...

    async def run(self) -> None:
        await asyncio.Event().wait()

    def open(self, partition: TopicPartition, tracker: Tracker) -> "FakePartitionDelivery":
        self.opened.append(partition)
        return FakePartitionDelivery(self, partition, tracker)

    async def commit(self, partitions: Collection[TopicPartition]) -> None: ...

    async def close(self, partitions: Partitions, *, seconds: float) -> None:
        assert seconds > 0
        partitions.close()
        await partitions.wait_closed()


class FakePartitionDelivery:
    commits_idle_position = True
    max_bytes = MAX_BYTES

    def __init__(self, delivery: FakeDelivery, partition: TopicPartition, tracker: Tracker) -> None:
        self.min_interval = delivery.min_interval
        self._delivery = delivery
        self._partition = partition
        self._tracker = tracker

    async def start(self) -> StartOffsets | None:
        await asyncio.sleep(0)
        offset = self._delivery.committed.setdefault(self._partition, 0)
        return StartOffsets(committed=offset, position=offset)

    async def deliver(self, batch: Sequence[ProcessedRecord]) -> AsyncIterator[ProcessedRecord]:
        await asyncio.sleep(0)
        await self._delivery.acknowledging.wait()
        if self._delivery.errors:
            raise self._delivery.errors.pop(0)
        offset = batch[-1].offset + 1 if batch else self._tracker.position
        assert offset is not None
        if batch:
            self._delivery.batches.append(len(batch))
        self._delivery.committed[self._partition] = offset
        for processed in batch:
            self._delivery.published.append((self._partition, processed))
            for index in range(len(processed.outputs)):
                processed.receipts[index] = Receipt(0, processed.offset, BEGAN, BEGAN + 1)
            yield processed
        with CommitTrace(self._delivery.traces, [self._partition], len(batch)) as trace:
            committed = self._tracker.mark_committed(offset)
        trace.done(committed)


HEARTBEAT_SECONDS = 0.1


def settings(**environment: str) -> Settings:
    return load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "KAFKA_HEARTBEAT_INTERVAL_MS": str(int(HEARTBEAT_SECONDS * 1000)),
            **environment,
        }
    )


def limiter(
    engine: StubEngine,
    *,
    max_bytes: int = 10**9,
    max_tokens: int = 10**9,
    weights: Mapping[str, int] | None = None,
) -> InFlightLimiter:
    return InFlightLimiter(
        engine, max_bytes=max_bytes, max_tokens=max_tokens, max_seconds=10**9, weights=weights
    )


def context(
    engine: StubEngine,
    delivery: FakeDelivery,
    *,
    dead_letter_limit: DeadLetterLimit | None = None,
    batch_records: int = 1000,
    shared_limiter: InFlightLimiter | None = None,
    deadlines: DeadlinePolicy | None = None,
    foreign_topics: ForeignTopics = NO_FOREIGN_TOPICS,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
    values: ValueReader | None = None,
) -> PartitionContext:
    """The context of a session without Kafka. Its records are small: no thread decodes them."""
    qa = settings(**environment).qa
    return PartitionContext(
        processor=RecordProcessor(
            engine=engine,
            decoders=ThreadPoolExecutor(1),
            answers_topic=qa.answers_topic,
            dead_letters_topic=qa.dead_letters_topic,
            max_record_bytes=qa.max_record_bytes,
            deadlines=deadlines or DeadlinePolicy(qa.expired, qa.max_age_seconds),
            replies=ReplyRouter(qa, foreign_topics),
            limits=OutputLimits(dict.fromkeys(qa.output_topics, 10**6)),
            unsure=UnsureQuestions(qa.min_score, qa.unsure_topic),
            sample=Sample(qa.sample),
            values=values,
        ),
        delivery=delivery,
        limiter=shared_limiter or limiter(engine),
        dead_letter_limit=dead_letter_limit or DeadLetterLimit(records=0, ratio=0.5),
        health=Health(lambda: 0.0, stall_after=60, contact_after=20),
        traces=delivery.traces,
        batch_records=batch_records,
    )


def assignment(
    engine: StubEngine,
    delivery: FakeDelivery,
    shared_limiter: InFlightLimiter | None = None,
    *,
    drain_seconds: float = 20,
    values: ValueReader | None = None,
) -> Assignment:
    return Assignment(
        settings(QA_DRAIN_SECONDS=str(drain_seconds)),
        context(engine, delivery, shared_limiter=shared_limiter, values=values),
    )
