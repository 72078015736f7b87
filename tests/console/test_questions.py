"""A question from the console, through the topics of a real broker; the reader is the test's."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.brokers.protocol import Broker
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.console import questions
from worker.console.questions import AT_ONCE, BusyError, Questions
from worker.console.sampler import Latencies
from worker.console.trace_collector import MARK, TraceCollector
from worker.settings import Settings


@pytest.fixture
async def topics(broker: Broker) -> Topics:
    own = Topics(broker.bootstrap_servers)
    await own.create()
    return own


@pytest.fixture
def following() -> TraceCollector:
    return TraceCollector(Latencies(time.monotonic))


@contextlib.asynccontextmanager
async def worker(
    settings: Settings, following: TraceCollector, reader: StubEngine
) -> AsyncIterator[Questions]:
    """What can be asked of a worker that runs here."""
    pipeline = RunningWorker(settings, reader, following)
    try:
        await pipeline.ready()
        yield Questions(settings, following)
    finally:
        pipeline.stop.set()
        await pipeline.task


async def ask(asked: Questions, value: bytes) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(await asked.ask(value))
    return report


async def test_an_answer_comes_with_its_journey_and_the_question_went_as_it_was(
    topics: Topics, following: TraceCollector
) -> None:
    value = b' {"context": "Ada \xf0\x9f\x9a\x80 wrote it.", "id": "mine", "question": "Who?"}\n'
    async with worker(topics.settings, following, StubEngine()) as asked:
        report = await ask(asked, value)
    assert report["outcome"]["id"] == "mine"
    assert report["outcome"]["answer"] == "Ada"
    stages = report["journey"]["stages"]
    assert [stage["name"] for stage in stages] == ["queue", "decode", "publish", "commit"]
    assert 0 < stages[-1]["ended"] < report["milliseconds"] + 1_000
    (question,) = await topics.records(report["topic"])
    assert (question.partition, question.offset) == (report["partition"], report["offset"])
    assert question.value == value
    (answer,) = await topics.answers()
    assert dict(answer.headers)[MARK] == dict(question.headers)[MARK]


async def test_what_is_no_question_comes_back_with_its_reason(
    topics: Topics, following: TraceCollector
) -> None:
    async with worker(topics.settings, following, StubEngine()) as asked:
        report = await ask(asked, b"\xff not JSON")
    assert report["rejected"]["reason"] == "not_json"
    assert "outcome" not in report
    assert report["journey"]["stages"][-1]["name"] == "commit"


async def test_at_least_once_an_answer_is_shown_with_the_commit_that_comes_after_it(
    topics: Topics, following: TraceCollector
) -> None:
    settings = topics.with_(QA_DELIVERY="at_least_once", QA_COMMIT_INTERVAL_MS="700")
    async with worker(settings, following, StubEngine()) as asked:
        report = await ask(asked, event(1))
    commit = report["journey"]["stages"][-1]
    assert commit["name"] == "commit"
    assert commit["ended"] > commit["began"]


async def test_a_commit_that_is_late_does_not_hold_up_the_answer(
    topics: Topics, following: TraceCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "COMMIT_SECONDS", -3600)
    settings = topics.with_(QA_DELIVERY="at_least_once", QA_COMMIT_INTERVAL_MS="3600000")
    async with worker(settings, following, StubEngine()) as asked:
        report = await ask(asked, event(1))
    assert report["outcome"]["answer"] == "Person1"
    assert (report["seen"], report["journey"]) == (True, None)


async def test_where_no_worker_is_nothing_comes_back_and_nothing_is_kept(
    topics: Topics, following: TraceCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ANSWER_SECONDS", 0.2)
    with pytest.raises(TimeoutError):
        await Questions(topics.settings, following).ask(event(1))
    assert not following._pending


async def test_so_many_are_on_their_way_and_the_next_is_told_so(
    topics: Topics, following: TraceCollector
) -> None:
    reader = StubEngine(lambda _: True)
    async with worker(topics.settings, following, reader) as asked:
        asking = [asyncio.create_task(ask(asked, event(number))) for number in range(AT_ONCE)]
        await until(lambda: len(reader.held) == AT_ONCE, "all are with the reader")
        with pytest.raises(BusyError):
            await asked.ask(event(AT_ONCE))
        reader.release_all()
        answers = [(await report)["outcome"]["id"] for report in asking]
        assert answers == [f"q-{number}" for number in range(AT_ONCE)]
        assert (await ask(asked, event(9)))["outcome"]["id"] == "q-9"
