"""Records out of the sample of `QA_SAMPLE`: with in-memory delivery, and on a broker."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.rejection import Reason
from schemas.sample import in_sample
from tests.streaming.conftest import Running
from tests.streaming.fakes import FIRST, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event
from worker.inference.cache.answer_cache import AnswerCache
from worker.kafka.records import InputRecord
from worker.observability.record_trace import (
    OUT_OF_SAMPLE,
    RecordTrace,
    TraceDispatcher,
    TraceListener,
)
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.partition import PartitionProcessor

SHARE = 0.3
HALF = {"QA_SAMPLE": "0.5", "KAFKA_GROUP_ID": "shadow"}
LATE = "2020-01-01T00:00:00Z"


class Traces(TraceListener):
    def __init__(self) -> None:
        self.ended: list[RecordTrace] = []

    def on_start(self, trace: RecordTrace) -> None: ...

    def on_end(self, trace: RecordTrace) -> None:
        self.ended.append(trace)


def left_out() -> float:
    return REGISTRY.get_sample_value("qa_out_of_sample_records_total") or 0.0


async def processed(
    engine: StubEngine,
    records: Sequence[InputRecord],
    *,
    traces: Traces | None = None,
    limit: DeadLetterLimit | None = None,
) -> list[tuple[Reason | None, int]]:
    """Of each record, for a worker with half of the questions: the reason of its rejection, and the
    number of its outputs.
    """
    delivery = FakeDelivery()
    delivery.traces = TraceDispatcher(*[traces] if traces else [])
    shared = context(engine, delivery, dead_letter_limit=limit, environment=HALF)
    partition = PartitionProcessor(FIRST, shared)
    task = asyncio.create_task(partition.run())
    for each in records:
        partition.add(each)
    await partition.drain()
    partition.close()
    task.cancel()
    await asyncio.wait([task])
    return [(each.reason, len(each.outputs)) for _, each in delivery.published]


def question(offset: int, **more: Any) -> InputRecord:
    """Its id is `q-offset`."""
    return record(offset, value=event(offset, **more))


async def test_records_out_of_the_sample_reach_no_engine_and_are_counted() -> None:
    engine, traces, before = StubEngine(), Traces(), left_out()
    outcomes = await processed(engine, [question(n) for n in range(50)], traces=traces)
    inside = [in_sample(f"q-{n}", 0.5) for n in range(50)]
    assert outcomes == [(None, int(each)) for each in inside]
    assert len(engine.seen) == sum(inside)
    assert left_out() == before + 50 - sum(inside)
    assert [trace.outcome != OUT_OF_SAMPLE for trace in traces.ended] == inside
    assert [trace.id for trace in traces.ended] == [f"q-{n}" for n in range(50)]
    stages = [[stage.name for stage in trace.stages][-1] for trace in traces.ended]
    assert stages == ["publish" if each else "decode" for each in inside]


async def test_a_question_without_an_id_is_chosen_by_its_position() -> None:
    records = [record(n) for n in range(20)]
    outcomes = await processed(StubEngine(), records)
    assert outcomes == [(None, int(in_sample(f"qa.questions-0-{n}", 0.5))) for n in range(20)]


async def test_a_record_that_cannot_be_read_is_chosen_by_its_position() -> None:
    outcomes = await processed(StubEngine(), [record(n, value=b"{") for n in range(20)])
    inside = [in_sample(f"qa.questions-0-{n}", 0.5) for n in range(20)]
    assert outcomes == [(Reason.NOT_JSON, 1) if each else (None, 0) for each in inside]


async def test_the_sample_comes_before_the_deadline() -> None:
    outcomes = await processed(StubEngine(), [question(n, expires_at=LATE) for n in range(20)])
    inside = [in_sample(f"q-{n}", 0.5) for n in range(20)]
    assert outcomes == [(Reason.EXPIRED, 1) if each else (None, 0) for each in inside]


async def test_only_the_sample_counts_for_the_dead_letter_limit() -> None:
    limit = DeadLetterLimit(records=4, ratio=0.5)
    answered = [n for n in range(100) if in_sample(f"q-{n}", 0.5)][:2]
    bad = [n for n in range(100, 200) if in_sample(f"qa.questions-0-{n}", 0.5)][:2]
    out = [n for n in range(200, 300) if not in_sample(f"q-{n}", 0.5)][:20]
    records = [
        *(question(n) for n in answered),
        *(record(n, value=b"{") for n in bad),
        *(question(n) for n in out),
    ]
    await processed(StubEngine(), records, limit=limit)
    # Two of the last four outcomes are rejections still, so no further one is allowed.
    assert limit.check([Reason.SCHEMA])[0] == 0


async def test_the_cache_computes_no_key_out_of_the_sample() -> None:
    keys: list[Any] = []

    class Cache(AnswerCache):
        def key(self, event: Any) -> bytes:
            keys.append(event.id)
            return super().key(event)

    engine, delivery = StubEngine(), FakeDelivery()
    shared = context(engine, delivery, environment=HALF)
    processor = replace(shared.processor, cache=Cache(engine, max_bytes=10_000))
    for n in range(20):
        await processor.process(question(n), None)
    assert keys == [f"q-{n}" for n in range(20) if in_sample(f"q-{n}", 0.5)]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_each_question_of_the_sample_is_answered_once(
    topics: Topics, running: Running
) -> None:
    settings = topics.with_(QA_SAMPLE=str(SHARE))
    await topics.send([event(n) for n in range(60)])
    # A partition's end that is all out of the sample has to be committed too.
    rest = [n for n in range(1000, 1200) if not in_sample(f"q-{n}", SHARE)][:10]
    engine = StubEngine()
    async with running(settings, engine):
        await topics.committed_are(await topics.ends())
        await topics.send([event(n) for n in rest])
        await topics.committed_are(await topics.ends())
    answered = Counter(json.loads(each.value)["id"] for each in await topics.answers())
    assert answered == {f"q-{n}": 1 for n in range(60) if in_sample(f"q-{n}", SHARE)}
    assert await topics.dead_letters() == []
    assert len(engine.seen) == len(answered)
