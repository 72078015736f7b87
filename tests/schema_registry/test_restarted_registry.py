"""A question whose schema is in Apicurio Registry, killed before the worker asks for it."""

import asyncio

import pytest

from tests.brokers.protocol import Broker
from tests.registries.fixtures import StartRegistry
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess
from worker.schema_registry.client import RegistryClient
from worker.schema_registry.framing import frame_prefix

pytestmark = pytest.mark.process

SCHEMA = """{"type": "record", "name": "Ask", "fields": [
    {"name": "question", "type": "string"}, {"name": "context", "type": "string"}]}"""
PAYLOAD = b"\x08Who?\x1eAda wrote a lot"


async def test_a_question_waits_for_the_registry_to_return(
    apache_kafka: Broker, start_registry: StartRegistry
) -> None:
    registry = await asyncio.to_thread(start_registry)
    async with RegistryClient((registry.url,), timeout_seconds=30) as client:
        schema_id = await client.register("asked-value", "AVRO", SCHEMA)
    await asyncio.to_thread(registry.kill)
    environment = {"SCHEMA_REGISTRY_URL": registry.url}
    async with Topics(apache_kafka.bootstrap_servers, environment) as topics:
        await topics.create()
        await topics.send([frame_prefix(schema_id) + PAYLOAD], partition=0)
        async with WorkerProcess(topics.environment) as worker:
            await until(
                lambda: bool(worker.events("schema_registry_unavailable")), "the worker waits"
            )

            await asyncio.to_thread(registry.start)

            await until(lambda: topics.has(1), "the answer")
        assert await topics.dead_letters() == []
