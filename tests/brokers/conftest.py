"""The broker that the contract is asked of."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.brokers.protocol import Broker

MakeTopic = Callable[..., Awaitable[str]]


@pytest.fixture
def servers(broker: Broker) -> str:
    return broker.bootstrap_servers


@pytest.fixture
async def admin(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def make_topic(admin: AIOKafkaAdminClient) -> MakeTopic:
    async def make(partitions: int = 1, **config: str) -> str:
        name = f"contract-{uuid.uuid4().hex}"
        made = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
        assert [error for _, error, _ in made.topic_errors] == [0]
        return name

    return make
