"""The console shows answers as JSON, whatever the worker writes."""

import json
import time
from typing import Any

import pytest

from tests.console.test_questions import ask, topics, worker
from tests.schema_registry.keeping_registry import keeping_registry
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event
from worker.console import questions
from worker.console.sampler import Latencies
from worker.console.trace_collector import TraceCollector

__all__ = ["topics"]


def without_source(outcome: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in outcome.items() if name != "source"}


@pytest.mark.parametrize("answer_format", ["avro", "json_schema", "protobuf"])
async def test_an_answer_is_shown_as_its_json(topics: Topics, answer_format: str) -> None:
    shown = {}
    async with keeping_registry() as registry:
        for each in ("json", answer_format):
            settings = topics.with_(
                SCHEMA_REGISTRY_URL=registry.url,
                QA_ANSWER_FORMAT=each,
                QA_REGISTER_SCHEMAS="true",
            )
            collector = TraceCollector(Latencies(time.monotonic))
            async with worker(settings, collector, StubEngine()) as console_questions:
                report = await ask(console_questions, event(1, metadata={"tenant": "7"}))
            assert report["trace"]["stages"][-1]["name"] == "commit"
            shown[each] = without_source(report["outcome"])
    assert shown[answer_format] == shown["json"]
    assert shown["json"]["context_id"] is None


async def test_an_answer_that_cannot_be_read_is_named_at_the_time_limit(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ANSWER_SECONDS", 1.0)
    async with keeping_registry() as registry:
        settings = topics.with_(
            SCHEMA_REGISTRY_URL=registry.url, QA_ANSWER_FORMAT="avro", QA_REGISTER_SCHEMAS="true"
        )
        collector = TraceCollector(Latencies(time.monotonic))
        async with worker(settings, collector, StubEngine()) as console_questions:
            registry.is_away = True
            with pytest.raises(TimeoutError, match=f"{registry.url} answers 503"):
                await console_questions.ask(json.dumps({"question": "?", "context": "a"}).encode())
