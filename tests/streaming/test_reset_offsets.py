"""An operator resets the group's offsets while a worker hangs: the group has no members then, so
the brokers accept it, and the worker comes back with what it had in flight.
"""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from tests.brokers.protocol import Broker
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess

QUESTIONS = 250

pytestmark = [pytest.mark.alone, pytest.mark.process]


@pytest.fixture(params=["exactly_once", "at_least_once"])
async def topics(apache_kafka: Broker, request: pytest.FixtureRequest) -> AsyncIterator[Topics]:
    environment = {"KAFKA_SESSION_TIMEOUT_MS": "1500", "QA_DELIVERY": request.param}
    async with Topics(apache_kafka.bootstrap_servers, environment, partitions=1) as topics:
        await topics.create()
        yield topics


async def test_a_reset_is_not_committed_over(topics: Topics) -> None:
    await topics.send([event(n) for n in range(QUESTIONS)], partition=0)
    async with WorkerProcess(topics.environment) as worker:
        await until(lambda: _some_are_committed(topics), "the worker commits")
        worker.signal(signal.SIGSTOP)
        await until(lambda: _reset(topics), "the group has no members: its offset is reset")
        worker.signal(signal.SIGCONT)
        # Every question from the reset offset on is answered again.
        await until(lambda: _all_are_committed(topics), "all is committed")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
    ids = await topics.ids()
    again = ids.index("q-0", 1)
    assert again > 0
    assert ids[again:] == [f"q-{n}" for n in range(QUESTIONS)]


async def _some_are_committed(topics: Topics) -> bool:
    return ((await topics.committed())[0] or 0) > 5


async def _all_are_committed(topics: Topics) -> bool:
    return (await topics.committed())[0] == QUESTIONS


async def _reset(topics: Topics) -> bool:
    """What kafka-consumer-groups --reset-offsets --to-offset 0 does; False while it is refused."""
    partition = TopicPartition(topics.settings.qa.questions_topic, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=topics.servers,
        group_id=topics.settings.kafka.group_id,
        enable_auto_commit=False,
    ) as consumer:
        consumer.assign([partition])
        try:
            await consumer.commit({partition: 0})
        except CommitFailedError:
            await asyncio.sleep(0.2)
            return False
        return True
