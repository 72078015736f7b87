"""Equal questions on a real broker run once; each record gets an outcome of its own, whatever
happens to the record whose question runs.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence

import pytest
from aiokafka import TopicPartition

from tests.inference.conftest import Counted
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.test_record_traces import Listener
from tests.streaming.topics import Topics, event, until
from worker.inference.cache.answer_cache import AnswerCache
from worker.kafka.records import OutputRecord
from worker.kafka.transactions import TransactionalProducer, TransactionTime
from worker.streaming.processor import INLINE_BYTES

LARGE = "Ada wrote it. " * (INLINE_BYTES // 8)
BOTH = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])


def cached(engine: StubEngine) -> AnswerCache:
    return AnswerCache(engine, max_bytes=2**20)


def waits() -> Counted:
    return Counted("qa_cache_lookups_total", result="wait")


@BOTH
@pytest.mark.parametrize("context", ["Ada wrote it.", LARGE], ids=["small", "large"])
async def test_twins_in_two_partitions_run_once(
    topics: Topics, running: Running, context: str
) -> None:
    engine, listener, waiting = StubEngine(holds=lambda _: True), Listener(), waits()

    def twin(number: int) -> bytes:
        return event(number, question="Who?", context=context, metadata={"twin": number})

    async with running(topics.settings, engine, listener, cache=cached(engine)):
        for number in (0, 1):
            headers = [("correlation-id", f"c-{number}".encode())]
            await topics.send([twin(number)], partition=number, headers=headers)
            # The first runs before the second is sent.
            await until(lambda: engine.seen == ["Who?"], "the first runs")
        await until(lambda: waiting.since == 1, "the second waits for the first")
        engine.release_all()
        await until(lambda: topics.has(2), "both are answered")
        await topics.send([twin(2)], partition=1)
        await topics.committed_are({0: 1, 1: 2})

    assert engine.seen == ["Who?"]
    answers = {json.loads(record.value)["id"]: record for record in await topics.answers()}
    assert len(await topics.answers()) == 3
    for number, (partition, offset) in enumerate([(0, 0), (1, 0), (1, 1)]):
        record = answers[f"q-{number}"]
        answer = json.loads(record.value)
        assert answer["answer"] == "Ada"
        assert answer["metadata"] == {"twin": number}
        assert (answer["source"]["partition"], answer["source"]["offset"]) == (partition, offset)
        if number < 2:
            assert dict(record.headers)["correlation-id"] == f"c-{number}".encode()
    traces = {trace.id: trace for trace in listener.ends}
    assert [traces[f"q-{number}"].cache for number in range(3)] == ["", "wait", "hit"]
    assert [stage.name for stage in traces["q-2"].stages][:2] == ["decode", "cache"]


async def test_twin_outlives_the_restart_of_the_others_partition(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restart of partition 0 cancels the question that runs; its twin is in partition 1."""
    fails = asyncio.Event()
    commit = TransactionalProducer.commit

    async def failing(
        self: TransactionalProducer,
        records: Sequence[OutputRecord],
        offsets: Mapping[TopicPartition, int],
    ) -> TransactionTime:
        if records and not fails.is_set():
            await fails.wait()
            raise TimeoutError
        return await commit(self, records, offsets)

    monkeypatch.setattr(TransactionalProducer, "commit", failing)
    engine = StubEngine(holds=lambda question: question.question == "Who is number 1?")
    waiting, restarts = waits(), Counted("qa_partition_restarts_total")
    async with running(topics.settings, engine, cache=cached(engine)):
        await topics.send([event(0), event(1)], partition=0)
        await until(lambda: bool(engine.held), "the first question is answered, the second runs")
        await topics.send([event(1, id="twin")], partition=1)
        await until(lambda: waiting.since == 1, "the twin waits for it")
        fails.set()
        await until(lambda: waiting.since == 2, "after the restart it waits for its twin")
        assert restarts.since == 1
        assert engine.seen == ["Who is number 0?", "Who is number 1?", "Who is number 1?"]
        engine.release_all()
        await topics.committed_are({0: 2, 1: 1})

    assert sorted(await topics.ids()) == ["q-0", "q-1", "twin"]


@BOTH
async def test_repeated_questions_do_not_wait_for_capacity(
    topics: Topics, running: Running
) -> None:
    """A twin holds bytes in flight, but no tokens."""
    engine = StubEngine(holds=lambda _: True, tokens_each=10)
    waiting = waits()
    settings = topics.with_(QA_MAX_IN_FLIGHT_TOKENS="11")
    async with running(settings, engine, cache=cached(engine)):
        await topics.send([event(7, id=f"q-{number}") for number in range(50)], key=None)
        await until(lambda: waiting.since == 49, "all wait for one")
        engine.release_all()
        await topics.committed_are({0: 25, 1: 25})
    assert engine.seen == ["Who is number 7?"]
    assert sorted(await topics.ids()) == sorted(f"q-{number}" for number in range(50))
