"""Topics that are deleted, or deleted and created again. The brokers create a topic that a metadata
request names, which is Kafka's default.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from tests.brokers.apache import ApacheKafka
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.errors import StreamingError
from worker.kafka.group_start import find_group_start
from worker.kafka.topics import admin_client, describe_topics
from worker.kafka.transactions import TransactionalProducer, transactional_id
from worker.streaming import watchdog


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with ApacheKafka(properties={"auto.create.topics.enable": "true"}) as kafka:
        yield kafka.bootstrap_servers


@pytest.fixture
async def topics(servers: str) -> AsyncIterator[Topics]:
    async with Topics(servers) as topics:
        await topics.create()
        yield topics


@pytest.fixture
async def worker(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> RunningWorker:
    """A worker that has answered a question; the test ends it."""
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.25)
    worker = RunningWorker(topics.settings, StubEngine())
    await worker.ready()
    await topics.send([event(1)], partition=0)
    await until(lambda: topics.has(1), "the answer")
    return worker


@pytest.mark.parametrize("which", [0, 1, 2], ids=["questions", "answers", "dead letters"])
async def test_a_deleted_topic_ends_the_worker(
    topics: Topics, worker: RunningWorker, which: int
) -> None:
    name = (await describe_topics(topics.settings))[which].name
    async with admin_client(topics.settings.kafka) as admin:
        await admin.delete_topics([name])
    await asyncio.wait([worker.task], timeout=30)
    with pytest.raises(StreamingError, match=rf"topic {name} was deleted .*topics create"):
        worker.task.result()
    partitions = [each.partitions for each in await describe_topics(topics.settings)]
    assert partitions == [0 if number == which else 2 for number in range(3)]


async def test_a_topic_that_is_created_again_ends_the_worker(
    topics: Topics, worker: RunningWorker
) -> None:
    name = topics.settings.qa.questions_topic
    async with admin_client(topics.settings.kafka) as admin:
        await admin.delete_topics([name])
        await until(lambda: _created(admin, name), "the name is free")
    await topics.send([event(n) for n in range(100, 120)])
    await asyncio.wait([worker.task], timeout=30)
    with pytest.raises(StreamingError, match=rf"topic {name} .* (created|create)"):
        worker.task.result()


async def test_an_offset_of_a_deleted_topic_is_refused(topics: Topics) -> None:
    """A worker that had not noticed it yet has committed it; the next one would skip records."""
    settings, client = topics.settings, BrokerClient(client_for_transactions(topics.settings.kafka))
    ids = (await find_group_start(settings)).topic_ids
    source = TopicPartition(settings.qa.questions_topic, 0)
    group_id = settings.kafka.group_id
    await client.start()
    producer = TransactionalProducer(
        client,
        settings.kafka,
        transactional_id(group_id, source),
        {},
        offset_metadata=f"{ids.cluster}/deleted",
    )
    await producer.init_transactions()
    await topics.send([event(n) for n in range(20)], partition=0)
    await producer.commit([], {source: 10})
    worker = RunningWorker(settings, StubEngine())
    await asyncio.wait([worker.task], timeout=30)
    with pytest.raises(StreamingError, match=r"offset 10 .* deleted topic .*--reset-offsets"):
        worker.task.result()
    assert await topics.ids() == []
    # What kafka-consumer-groups --reset-offsets does.
    plain = TransactionalProducer(client, settings.kafka, transactional_id(group_id, source), {})
    await plain.init_transactions()
    await plain.commit([], {source: 0})
    await client.stop()
    worker = RunningWorker(settings, StubEngine())
    await until(lambda: topics.has(20), "all are answered")
    worker.stop.set()
    await worker.task


async def test_a_metadata_request_creates_no_topic(topics: Topics) -> None:
    settings = topics.with_(KAFKA_TRANSACTION_TIMEOUT_MS="1500")  # of requests, too
    missing = topics.with_(QA_QUESTIONS_TOPIC="never-described")
    assert [each.partitions for each in await describe_topics(missing)] == [0, 2, 2]
    client = BrokerClient(client_for_transactions(settings.kafka))
    await client.start()
    with pytest.raises(UnknownTopicOrPartitionError):
        await client.partitions("never-created")
    await client.stop()
    async with admin_client(settings.kafka) as admin:
        assert not {"never-created", "never-described"} & set(await admin.list_topics())


async def _created(admin: AIOKafkaAdminClient, name: str) -> bool:
    response = await admin.create_topics([NewTopic(name, 2, 1)])
    return not response.topic_errors[0][1]
