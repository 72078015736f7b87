"""Records that wait for room while their lane learns, late, where reading began."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka import TopicPartition

from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.kafka.consumer import GroupConsumer
from worker.kafka.records import InputRecord
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.settings.environment import load
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.session import KafkaSession

FIRST, SECOND = TopicPartition("qa.questions", 0), TopicPartition("qa.questions", 1)


def record(partition: TopicPartition, offset: int) -> InputRecord:
    text = f'{{"question": "{partition.partition}-{offset}", "context": "{"c" * 70}"}}'
    return InputRecord(partition.topic, partition.partition, offset, None, text.encode(), ())


async def test_a_late_word_of_the_position_skips_no_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The consumer's position is behind all that a poll returned. The first record fills the
    # worker; while the second partition's wait for room, its lane hears that position.
    polls = [[record(FIRST, 0), *(record(SECOND, offset) for offset in range(3))]]
    answered = asyncio.Event()

    async def committed(_: GroupConsumer, partition: TopicPartition) -> None:
        if partition == SECOND:
            await answered.wait()

    told = []

    async def position(_: GroupConsumer, partition: TopicPartition) -> int:
        told.append(partition)
        return 0 if partition == FIRST else 3

    async def poll(_: GroupConsumer) -> list[InputRecord]:
        if not polls:
            await asyncio.Event().wait()
        return polls.pop()

    monkeypatch.setattr(GroupConsumer, "committed", committed)
    monkeypatch.setattr(GroupConsumer, "position", position)
    monkeypatch.setattr(GroupConsumer, "poll", poll)
    reader = StubEngine(holds=lambda _: True)
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "QA_MAX_IN_FLIGHT_BYTES": "100",
            # In exactly-once delivery nothing is fetched before the position is known.
            "QA_DELIVERY": "at_least_once",
        }
    )
    limits = dict.fromkeys((settings.qa.answers_topic, settings.qa.dead_letters_topic), 10**6)
    health = Health(time.monotonic, stall_after=60, contact_after=20)
    with ThreadPoolExecutor(1) as decoders:
        breaker = DeadLetterLimit(records=0, ratio=1)
        session = KafkaSession(
            settings, limits, reader, health, breaker, decoders, TraceDispatcher()
        )
        session._assignment.on_assigned([FIRST, SECOND])
        taking = asyncio.create_task(session._take_records())
        await until(lambda: reader.seen == ["0-0"], "the first fills the worker")
        answered.set()
        # It says so without waiting, so the lane has it in the same turn of the loop.
        await until(lambda: SECOND in told, "the lane has heard its position")
        assert session._assignment.lanes[SECOND].ledger.safe == 0
        session._in_flight.leave(session._in_flight.bytes)
        await until(lambda: "1-0" in reader.seen, "room for the next")
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await session.close()
