"""Fixtures of the contract tests: the selected broker, an admin client, new topics."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.brokers.protocol import Broker

CreateTopic = Callable[..., Awaitable[str]]


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
def create_topic(admin: AIOKafkaAdminClient) -> CreateTopic:
    """A function that creates a topic with a new name and returns that name."""

    async def create(partitions: int = 1, **config: str) -> str:
        name = f"contract-{uuid.uuid4().hex}"
        response = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
        assert [error for _, error, _ in response.topic_errors] == [0]
        return name

    return create
