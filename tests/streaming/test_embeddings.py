"""A worker process with an embedding model on a broker."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.embedding import Embedding
from schemas.rejection import Header
from tests.brokers.protocol import Broker
from tests.inference.embeddings import CAPACITY, expected, write_embedding_bundle
from tests.schemas.valid import faults, published
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.models.manifest import Pooling

pytestmark = pytest.mark.process

NORMAL = Pooling(normalize=True)


def text(number: int, words: list[str], **more: Any) -> bytes:
    return json.dumps({"id": f"t-{number}", "text": " ".join(words), **more}).encode()


async def test_embeddings_keep_order_and_questions_are_rejected(
    broker: Broker, tmp_path: Path
) -> None:
    bundle = write_embedding_bundle(tmp_path / "tiny", NORMAL)
    async with Topics(broker.bootstrap_servers, {"QA_MODEL": str(bundle)}, partitions=1) as topics:
        await topics.create()
        # Long texts take several windows, so the short ones behind them complete first.
        words = [["answer", "a", "b"] * (3 * CAPACITY if n % 4 == 0 else 1) for n in range(20)]
        await topics.send([text(n, each, metadata={"n": n}) for n, each in enumerate(words)])
        await topics.send([event(1), text(99, ["nan"]), text(98, [" "])])
        structured = {
            "specversion": "1.0",
            "id": "ce-1",
            "source": "/test",
            "type": "qa.text",
            "data": {"text": "answer"},
        }
        await topics.send([json.dumps(structured).encode()])
        binary: list[Header] = [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"ce-2"),
            ("traceparent", b"00"),
        ]
        await topics.send([b'{"text": "answer"}'], key=b"own", headers=binary)
        async with WorkerProcess(topics.environment) as worker:

            async def all_committed() -> bool:
                return (await topics.committed())[0] == 25

            await until(all_committed, "everything is committed")
            assert await worker.metric("qa_answers_total") == 22
            assert await worker.metric("qa_rejections_total") == 3

        records = await topics.answers()
        for n, record in enumerate(records[:20]):
            embedding = Embedding.model_validate_json(record.value)
            assert faults(published("embedding"), json.loads(record.value)) == []
            assert (embedding.id, embedding.metadata) == (f"t-{n}", {"n": n})
            assert embedding.source is not None
            assert embedding.source.offset == n
            assert embedding.windows == -(-len(words[n]) // CAPACITY)
            np.testing.assert_allclose(embedding.embedding, expected(words[n], NORMAL), atol=1e-6)
        _check_cloud_events(*records[20:])

        dead_letters = [dict(each.headers) for each in await topics.dead_letters()]
        assert [headers["qa.reason"] for headers in dead_letters] == [
            b"schema",
            b"model_failed",
            b"schema",
        ]
        assert dead_letters[0]["__connect.errors.exception.message"] == (
            b"text: Field required; this worker accepts texts to embed"
        )


def _check_cloud_events(structured: Any, binary: Any) -> None:
    document = json.loads(structured.value)
    assert (document["id"], document["type"]) == ("ce-1", "qa.embedding")
    one = Embedding.model_validate(document["data"])
    headers = dict(binary.headers)
    assert (binary.key, headers["ce_type"]) == (b"own", b"qa.embedding")
    assert (headers["ce_id"], headers["traceparent"]) == (b"ce-2", b"00")
    other = Embedding.model_validate_json(binary.value)
    assert one.embedding == other.embedding
    np.testing.assert_allclose(one.embedding, expected(["answer"], NORMAL), atol=1e-6)
