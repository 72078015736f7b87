"""A question that a worker without a schema registry rejected is answered after its replay."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from schemas.rejection import Header
from tests.dead_letters.records import questions, replay
from tests.schema_registry.framed import payload, prefixed, serve_schema
from tests.schema_registry.registry_server import RegistryServer, registry_server
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, until

QUESTION = {"question": "Who wrote it?", "context": "Ada wrote it."}
GUID = UUID("7f9f3a1e-0d0e-4c57-9f1a-2d6d8a3b4c5d")


@pytest.fixture
async def registry() -> AsyncIterator[RegistryServer]:
    async with registry_server() as registry:
        serve_schema(registry, "avro", 7)
        serve_schema(registry, "avro", GUID)
        serve_schema(registry, "protobuf", 8)
        yield registry


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (prefixed("avro", 7, QUESTION), []),
        (payload("avro", QUESTION), [("__value_schema_id", b"\1" + GUID.bytes)]),
        (prefixed("protobuf", 8, QUESTION), []),
    ],
    ids=["avro", "avro, GUID in the header", "protobuf"],
)
async def test_a_replay_keeps_the_bytes_and_headers_of_a_format(
    topics: Topics,
    running: Running,
    registry: RegistryServer,
    value: bytes,
    headers: list[Header],
) -> None:
    await topics.send([value], partition=0, headers=headers)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 1, 1: 0})
    (rejected,) = await topics.dead_letters()
    assert dict(rejected.headers)["qa.reason"] == b"not_json"
    await replay(topics)
    async with running(topics.with_(SCHEMA_REGISTRY_URL=registry.url), StubEngine()):
        # The question itself is committed; its replay is not.
        await until(lambda: topics.has(1), "the answer")
    (answer,) = await topics.answers()
    assert json.loads(answer.value)["answer"] == "Ada"
    _, again = sorted(await questions(topics), key=lambda record: record.timestamp)
    assert again.value == value
    assert list(again.headers)[: len(headers)] == headers
