"""Quotas of real brokers: slower, but nothing is written twice, and the worker says why."""

import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import REGISTRY

from tests.brokers.quotas import set_quota
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until

QUESTIONS = 60


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def throttled(request: str) -> float:
    seconds = REGISTRY.get_sample_value("qa_throttle_time_seconds_total", {"request": request})
    assert seconds is not None
    return seconds


async def test_a_producer_quota_slows_and_aborts_at_most_once(
    topics: Topics, running: Running
) -> None:
    """Without the fit to the quota, a transaction outlasts its timeout, again and again."""
    topics.environment["KAFKA_CLIENT_ID"] = topics.settings.kafka.group_id
    topics.environment["KAFKA_TRANSACTION_TIMEOUT_MS"] = "2000"
    settings = topics.settings
    await set_quota(topics.servers, settings.kafka.client_id, producer_byte_rate=10_000)
    before = throttled("produce")
    fill = {"fill": "x" * 2_000}
    await topics.send([event(n, metadata=fill) for n in range(QUESTIONS)], partition=0)
    async with running(settings, StubEngine()):
        await topics.committed_are({0: QUESTIONS, 1: 0})
    assert throttled("produce") > before
    assert await topics.ids() == [f"q-{n}" for n in range(QUESTIONS)]
    # The first burst is free; the transaction after it may be too large, and no other.
    assert await _written(topics) < 2 * QUESTIONS


async def test_a_consumer_quota_is_visible(topics: Topics, running: Running) -> None:
    topics.environment["KAFKA_CLIENT_ID"] = topics.settings.kafka.group_id
    settings = topics.settings
    await set_quota(topics.servers, settings.kafka.client_id, consumer_byte_rate=2_000)
    before = throttled("fetch")
    fill = {"fill": "x" * 2_000}
    await topics.send([event(n, metadata=fill) for n in range(QUESTIONS)], partition=0)
    async with running(settings, StubEngine()):
        await until(lambda: throttled("fetch") > before, "a throttled fetch")


async def _written(topics: Topics) -> int:
    """Answers that a read_uncommitted consumer sees: those of aborted transactions too."""
    partitions = topics.all_partitions(topics.settings.qa.answers_topic)
    async with AIOKafkaConsumer(
        bootstrap_servers=topics.servers, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(partitions)
        count = 0
        for partition, end in (await consumer.end_offsets(partitions)).items():
            while await consumer.position(partition) < end:
                fetched = await consumer.getmany(partition, timeout_ms=200)
                count += len(fetched.get(partition, []))
    return count
