"""Cache, deadlines, unsure questions and replies in one record, with in-memory delivery."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition

from schemas.rejection import Header, Reason
from tests.kafka.described_topics import Brokers
from tests.streaming.fakes import FIRST, SECOND, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.inference.cache.answer_cache import AnswerCache
from worker.inference.deadline import Deadline
from worker.kafka.records import InputRecord
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.partition import PartitionProcessor

DEADLINE = 1_800_000_000.0
TO: Sequence[Header] = [("kafka_replyTopic", b"replies-1")]


def asked(
    offset: int,
    partition: TopicPartition = FIRST,
    *,
    expires: bool = False,
    headers: Sequence[Header] = (),
) -> InputRecord:
    """Always the same question, but for its id."""
    value: dict[str, Any] = {"id": f"{partition.partition}-{offset}", "question": "Who?"}
    value["context"] = "Ada wrote it."
    if expires:
        value["expires_at"] = datetime.fromtimestamp(DEADLINE, UTC).isoformat()
    return replace(record(offset, partition, json.dumps(value).encode()), headers=headers)


@dataclass
class Worker:
    """Two partitions of a worker with a cache, by the clock of the test."""

    now: float = DEADLINE - 1
    engine: StubEngine = field(default_factory=lambda: StubEngine(holds=lambda _: True))
    delivery: FakeDelivery = field(default_factory=FakeDelivery)

    @asynccontextmanager
    async def running(
        self, **environment: str
    ) -> AsyncIterator[tuple[PartitionProcessor, PartitionProcessor]]:
        brokers = Brokers()
        brokers.leaders = {"replies-1": [1]}
        shared = context(
            self.engine,
            self.delivery,
            deadlines=DeadlinePolicy("drop", clock=lambda: self.now),
            foreign_topics=brokers.topics,
            environment={"QA_REPLY_TOPICS": "replies-*", **environment},
        )
        cache = AnswerCache(self.engine, max_bytes=2**20)
        shared = replace(shared, processor=replace(shared.processor, cache=cache))
        partitions = PartitionProcessor(FIRST, shared), PartitionProcessor(SECOND, shared)
        tasks = [asyncio.create_task(each.run()) for each in partitions]
        yield partitions
        for each in partitions:
            each.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    @property
    def outcomes(self) -> dict[tuple[int, int], list[str] | Reason]:
        """Partition and offset to the topics of the outputs, or to the reason."""
        return {
            (at.partition, each.offset): each.reason or [output.topic for output in each.outputs]
            for at, each in self.delivery.published
        }


async def running_events(worker: Worker, count: int) -> None:
    await until(lambda: len(worker.engine.seen) == count, f"{count} events have run")


async def test_a_question_that_waits_for_an_equal_one_is_answered_after_its_deadline() -> None:
    worker = Worker()
    async with worker.running() as (first, second):
        first.add(asked(0))
        await running_events(worker, 1)
        second.add(asked(0, SECOND, expires=True))
        await asyncio.sleep(0)
        worker.now = DEADLINE + 1
        worker.engine.release_all()
        await asyncio.gather(first.drain(), second.drain())
        second.add(asked(1, SECOND, expires=True))
        await second.drain()
    assert worker.outcomes == {
        (0, 0): ["qa.answers"],
        (1, 0): ["qa.answers"],
        (1, 1): Reason.EXPIRED,  # although the answer is in the cache
    }


async def test_an_expired_question_is_dropped_and_the_equal_one_that_waits_is_read() -> None:
    worker = Worker()
    async with worker.running() as (first, second):
        first.add(asked(0, expires=True))
        await running_events(worker, 1)
        second.add(asked(0, SECOND))
        await asyncio.sleep(0)
        deadline = Deadline(datetime.fromtimestamp(DEADLINE, UTC), DEADLINE)
        _, future = worker.engine.held.pop("Who?")
        future.set_exception(deadline.rejection())
        await running_events(worker, 2)
        worker.engine.release_all()
        await asyncio.gather(first.drain(), second.drain())
    assert worker.outcomes == {(0, 0): Reason.EXPIRED, (1, 0): ["qa.answers"]}
    assert worker.delivery.committed == {FIRST: 1, SECOND: 1}


async def test_a_closed_partition_leaves_its_question_to_the_equal_one_of_another() -> None:
    worker = Worker()
    async with worker.running() as (first, second):
        first.add(asked(0))
        first.add(asked(1))
        await running_events(worker, 1)
        second.add(asked(0, SECOND))
        await asyncio.sleep(0)
        assert first.close() == 2
        # That of the closed partition that waits runs until its own cancel.
        await running_events(worker, 3)
        worker.engine.release_all()
        await second.drain()
    assert worker.outcomes == {(1, 0): ["qa.answers"]}


async def test_an_unsure_answer_from_the_cache_is_sent_on_with_the_reply_headers() -> None:
    worker = Worker(engine=StubEngine())
    unsure = {"QA_MIN_SCORE": "0.9", "QA_UNSURE_TOPIC": "qa.unsure"}
    async with worker.running(**unsure) as (first, second):
        first.add(asked(0))
        await first.drain()
        second.add(asked(0, SECOND, headers=TO))
        await second.drain()
    assert worker.engine.seen == ["Who?"]
    assert worker.outcomes == {(0, 0): ["qa.unsure"], (1, 0): ["qa.unsure"]}
    (output,) = worker.delivery.published[1][1].outputs
    headers = dict(output.headers)
    assert headers["kafka_replyTopic"] == b"replies-1"
    assert (headers["qa.unsure.partition"], headers["qa.unsure.answer"]) == (b"1", b"Ada")


async def test_a_reply_from_the_cache_has_the_id_of_its_question() -> None:
    worker = Worker(engine=StubEngine())
    async with worker.running() as (first, second):
        first.add(asked(0))
        await first.drain()
        second.add(asked(0, SECOND, headers=TO))
        await second.drain()
    assert worker.engine.seen == ["Who?"]
    assert worker.outcomes == {(0, 0): ["qa.answers"], (1, 0): ["replies-1"]}
    value = worker.delivery.published[1][1].outputs[0].value
    assert json.loads(value or b"")["id"] == "1-0"
