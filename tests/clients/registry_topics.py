"""Topics of a worker with a schema registry, for Java's serializers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.streaming.topics import Topics


@asynccontextmanager
async def registry_topics(
    servers: str, registry_url: str, answer_format: str
) -> AsyncIterator[Topics]:
    """`registry_url` is Confluent's API of Apicurio Registry; its own API is beside it."""
    environment = {
        "SCHEMA_REGISTRY_URL": registry_url,
        "APICURIO_REGISTRY_URL": registry_url.replace("/ccompat/v7", "/registry/v3"),
        "QA_ANSWER_FORMAT": answer_format,
        "QA_REGISTER_SCHEMAS": "true",
    }
    async with Topics(servers, environment) as topics:
        await topics.create()
        yield topics
