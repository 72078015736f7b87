"""Fixtures of the contract tests: the selected broker, an admin client, new topics."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.brokers.clients import PATIENCE_SECONDS
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
        # The response comes from the controller; a busy broker describes the topic later.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while [each["error_code"] for each in await admin.describe_topics([name])] != [0]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return name

    return create
