"""Records whose schema is in a registry, beside plain JSON, through a worker on a broker."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.rejection import Header
from tests.brokers.protocol import Broker
from tests.inference.embeddings import write_embedding_bundle
from tests.schema_registry import framed_values as framed
from tests.schema_registry.registry_server import RegistryServer, registry_server
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event
from tests.streaming.worker_process import WorkerProcess
from worker.models.manifest import Pooling
from worker.schema_registry.framing import VALUE_SCHEMA_ID

GUID_HEADER: Header = VALUE_SCHEMA_ID, b"\1" + framed.GUID.bytes
CLOUD_EVENT: list[Header] = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"ce-1"),
    ("ce_source", b"/test"),
    ("ce_type", b"question"),
    ("content-type", b"application/avro"),
]


@pytest.fixture
async def registry() -> AsyncIterator[RegistryServer]:
    async with registry_server() as server:
        framed.serve_schemas(server)
        yield server


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_framed_values_are_answered_beside_json(
    topics: Topics, running: Running, registry: RegistryServer
) -> None:
    question = framed.avro_payload(framed.question(7))
    sent: list[tuple[bytes, list[Header]]] = [
        (event(0), []),
        (framed.avro(1), []),
        (framed.protobuf(2), []),
        (framed.json_schema(3), []),
        (framed.avro_by_guid(4), []),
        (event(5), []),
        (framed.avro_payload(framed.question(6)), [GUID_HEADER, ("x-request-id", b"r")]),
        (question, [*CLOUD_EVENT, GUID_HEADER]),
        (framed.avro(8), CLOUD_EVENT),
    ]
    for value, headers in sent:
        await topics.send([value], headers=headers, partition=0)
    settings = topics.with_(SCHEMA_REGISTRY_URL=registry.url)
    async with running(settings, StubEngine()):
        await topics.committed_are({0: len(sent), 1: 0})
    answers = await topics.answers()
    documents = [json.loads(each.value) for each in answers]
    assert [each["id"] for each in documents] == [f"q-{n}" for n in range(len(sent))]
    assert [each["answer"] for each in documents] == [f"Person{n}" for n in range(len(sent))]
    names = [name for each in answers for name, _ in each.headers]
    assert VALUE_SCHEMA_ID not in names
    assert ("x-request-id", b"r") in answers[6].headers
    assert dict(answers[8].headers)["ce_type"] == dict(answers[7].headers)["ce_type"]
    assert dict(answers[8].headers)["content-type"] == b"application/json"
    assert len(registry.requests) == len(set(registry.requests))


async def test_fields_of_a_foreign_schema_are_mapped(
    topics: Topics, running: Running, registry: RegistryServer
) -> None:
    plain = json.dumps({"question": "Who?", "context": "Ada.", "query": {"text": "x"}}).encode()
    await topics.send([framed.foreign_avro(1), plain], partition=0)
    settings = topics.with_(
        SCHEMA_REGISTRY_URL=registry.url, QA_FIELDS="question=query.text,context=body"
    )
    engine = StubEngine()
    async with running(settings, engine):
        await topics.committed_are({0: 2, 1: 0})
    assert sorted(engine.seen) == ["Who is number 1?", "Who?"]


async def test_dead_letters_and_unsure_questions_keep_their_bytes(
    topics: Topics, running: Running, registry: RegistryServer
) -> None:
    unsure = f"unsure-{topics.settings.qa.answers_topic}"
    environment = {**topics.environment, "QA_UNSURE_TOPIC": unsure}
    limit = 2_000
    async with Topics(topics.servers, environment) as all_topics:
        await all_topics.create()
        sent: list[tuple[bytes, str, list[Header]]] = [
            (framed.avro(0, 99), "schema_unknown", []),
            (framed.avro(1)[:-9], "not_avro", []),
            (framed.protobuf(2)[:-1], "not_protobuf", []),
            (framed.json_schema(3)[:-1], "not_json", []),
            (framed.text_avro("t", "x"), "schema", []),
            (framed.avro_payload(framed.question(5)), "schema_unknown", [(VALUE_SCHEMA_ID, b"7")]),
            (framed.avro(6, 98, padding="") + b"x" * limit, "record_too_large", []),
        ]
        values = [each[0] for each in sent]
        for value, _, headers in sent:
            await all_topics.send([value], headers=headers, partition=0)
        doubted = framed.avro_payload(framed.question(7, options={"min_score": 0.9}))
        await all_topics.send([doubted], headers=[GUID_HEADER], partition=0)
        settings = all_topics.with_(
            SCHEMA_REGISTRY_URL=registry.url, QA_MAX_RECORD_BYTES=str(limit)
        )
        async with running(settings, StubEngine()):
            await all_topics.committed_are({0: len(sent) + 1, 1: 0})
        dead_letters = await all_topics.dead_letters()
        assert [dict(each.headers)["qa.reason"].decode() for each in dead_letters] == [
            reason for _, reason, _ in sent
        ]
        assert [each.value for each in dead_letters] == values
        assert (VALUE_SCHEMA_ID, b"7") in dead_letters[5].headers
        (sent_on,) = await all_topics.records(unsure)
        assert sent_on.value == doubted
        assert GUID_HEADER in sent_on.headers
    # Nothing is asked for a record that is too large.
    assert "GET /schemas/ids/98" not in registry.requests


@pytest.mark.process
async def test_framed_texts_are_embedded(
    broker: Broker, registry: RegistryServer, delivery: str, tmp_path: Path
) -> None:
    bundle = write_embedding_bundle(tmp_path / "tiny", Pooling(normalize=True))
    environment = {
        "QA_MODEL": str(bundle),
        "QA_DELIVERY": delivery,
        "SCHEMA_REGISTRY_URL": registry.url,
    }
    async with Topics(broker.bootstrap_servers, environment, partitions=1) as topics:
        await topics.create()
        plain = json.dumps({"id": "t-0", "text": "answer a b"}).encode()
        await topics.send([plain, framed.text_avro("t-1", "answer a b"), framed.avro(2)])
        async with WorkerProcess(topics.environment) as worker:
            await topics.committed_are({0: 3})
            assert await worker.metric("qa_schema_registry_requests_total") == 2
        documents: list[Any] = [json.loads(each.value) for each in await topics.answers()]
        assert [each["id"] for each in documents] == ["t-0", "t-1"]
        assert documents[0]["embedding"] == documents[1]["embedding"]
        (dead_letter,) = await topics.dead_letters()
        assert dict(dead_letter.headers)["qa.reason"] == b"schema"
