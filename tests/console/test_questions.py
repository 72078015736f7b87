"""Questions from the console through a real broker, answered by a worker with a stub engine."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from schemas.sample import in_sample
from tests.brokers.protocol import Broker
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.console import questions
from worker.console.questions import MAX_PENDING, BusyError, Questions
from worker.console.sampler import Latencies
from worker.console.trace_collector import MARK, TraceCollector
from worker.settings import Settings


@pytest.fixture
async def topics(broker: Broker) -> AsyncIterator[Topics]:
    async with Topics(broker.bootstrap_servers) as topics:
        await topics.create()
        yield topics


@pytest.fixture
def collector() -> TraceCollector:
    return TraceCollector(Latencies(time.monotonic))


@contextlib.asynccontextmanager
async def worker(
    settings: Settings, collector: TraceCollector, engine: StubEngine
) -> AsyncIterator[Questions]:
    """Runs a worker in this process; yields the console's `Questions`."""
    running = RunningWorker(settings, engine, collector)
    try:
        await running.ready()
        yield Questions(settings, collector)
    finally:
        running.stop.set()
        await running.task


async def ask(questions: Questions, value: bytes) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(await questions.ask(value))
    return report


async def test_report_has_answer_and_trace_and_value_is_unchanged(
    topics: Topics, collector: TraceCollector
) -> None:
    value = b' {"context": "Ada \xf0\x9f\x9a\x80 wrote it.", "id": "mine", "question": "Who?"}\n'
    async with worker(topics.settings, collector, StubEngine()) as console_questions:
        report = await ask(console_questions, value)
    assert report["outcome"]["id"] == "mine"
    assert report["outcome"]["answer"] == "Ada"
    stages = report["trace"]["stages"]
    assert [stage["name"] for stage in stages] == ["queue", "decode", "publish", "commit"]
    assert 0 < stages[-1]["ended"] < report["milliseconds"] + 1_000
    (question,) = await topics.records(report["topic"])
    assert (question.partition, question.offset) == (report["partition"], report["offset"])
    assert question.value == value
    (answer,) = await topics.answers()
    assert dict(answer.headers)[MARK] == dict(question.headers)[MARK]


async def test_invalid_value_is_reported_as_rejected(
    topics: Topics, collector: TraceCollector
) -> None:
    async with worker(topics.settings, collector, StubEngine()) as console_questions:
        report = await ask(console_questions, b"\xff not JSON")
    assert report["rejected"]["reason"] == "not_json"
    assert "outcome" not in report
    assert report["trace"]["stages"][-1]["name"] == "commit"


async def test_dropped_question_is_reported_at_once(
    topics: Topics, collector: TraceCollector
) -> None:
    settings = topics.with_(QA_EXPIRED="drop")
    async with worker(settings, collector, StubEngine()) as console_questions:
        report = await ask(console_questions, event(1, expires_at="2020-01-01T00:00:00Z"))
    assert report["rejected"]["reason"] == "expired"
    assert not report["rejected"]["dead_letter"]
    assert [stage["name"] for stage in report["trace"]["stages"]] == ["queue", "decode", "commit"]


async def test_question_out_of_the_sample_is_reported_at_once(
    topics: Topics, collector: TraceCollector
) -> None:
    out = next(n for n in range(100) if not in_sample(f"q-{n}", 0.1))
    async with worker(topics.with_(QA_SAMPLE="0.1"), collector, StubEngine()) as console_questions:
        report = await ask(console_questions, event(out))
    assert report["rejected"] == {
        "reason": "out_of_sample",
        "detail": "QA_SAMPLE leaves the question's id out",
        "dead_letter": False,
    }


async def test_at_least_once_trace_ends_with_the_later_commit(
    topics: Topics, collector: TraceCollector
) -> None:
    settings = topics.with_(QA_DELIVERY="at_least_once", QA_COMMIT_INTERVAL_MS="700")
    async with worker(settings, collector, StubEngine()) as console_questions:
        report = await ask(console_questions, event(1))
    commit = report["trace"]["stages"][-1]
    assert commit["name"] == "commit"
    assert commit["ended"] > commit["began"]


async def test_late_commit_does_not_delay_the_answer(
    topics: Topics, collector: TraceCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "COMMIT_SECONDS", -3600)
    settings = topics.with_(QA_DELIVERY="at_least_once", QA_COMMIT_INTERVAL_MS="3600000")
    async with worker(settings, collector, StubEngine()) as console_questions:
        report = await ask(console_questions, event(1))
    assert report["outcome"]["answer"] == "Person1"
    assert (report["seen"], report["trace"]) == (True, None)


async def test_timeout_without_a_worker_leaves_nothing_pending(
    topics: Topics, collector: TraceCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ANSWER_SECONDS", 0.2)
    with pytest.raises(TimeoutError):
        await Questions(topics.settings, collector).ask(event(1))
    assert not collector._pending


async def test_questions_beyond_the_limit_are_busy_errors(
    topics: Topics, collector: TraceCollector
) -> None:
    engine = StubEngine(lambda _: True)
    async with worker(topics.settings, collector, engine) as console_questions:
        reports = [
            asyncio.create_task(ask(console_questions, event(number)))
            for number in range(MAX_PENDING)
        ]
        await until(lambda: len(engine.held) == MAX_PENDING, "the engine has all questions")
        with pytest.raises(BusyError):
            await console_questions.ask(event(MAX_PENDING))
        engine.release_all()
        answers = [(await report)["outcome"]["id"] for report in reports]
        assert answers == [f"q-{number}" for number in range(MAX_PENDING)]
        assert (await ask(console_questions, event(9)))["outcome"]["id"] == "q-9"
