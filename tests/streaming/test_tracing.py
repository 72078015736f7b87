"""Traces of a worker process, as a collector receives them over OTLP."""

import asyncio
import json
import signal
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.brokers.protocol import Broker
from tests.observability.collector import Collector, attributes, collecting
from tests.streaming.topics import Topics, event, until
from tests.streaming.traced_worker import (
    CONTEXT,
    PARENT,
    SAMPLED,
    TRACE,
    answered_by_a_worker,
    traced_topics,
)
from tests.streaming.worker_process import WorkerProcess

pytestmark = pytest.mark.process

STAGES = ["decode", "preprocess", "inference", "postprocess", "send", "commit"]
CACHED_STAGES = ["decode", "cache", "send", "commit"]


@dataclass
class Exported:
    """What a worker exported for the records that `_exported` sends, and what it published."""

    collector: Collector
    topics: Topics
    answers: dict[str, Any]
    """By the id of the question."""
    dead_letters: list[Any]

    def record(self, offset: int) -> Span:
        return span_of_record(self.collector, offset)

    def stages(self, offset: int) -> list[str]:
        return [stage.name.split()[0] for stage in self.collector.children(self.record(offset))]


async def _exported(servers: str, **environment: str) -> Exported:
    """Records by offset: (0) a question with a trace; (1) the same again; (2) a question that the
    producer did not sample; (3) one with a malformed context; (4) one that asks for a reply; (5) no
    JSON, with a trace; (6) an expired question.
    """
    more = {"QA_REPLY_TOPICS": "*", "QA_EXPIRED": "drop", **environment}
    async with (
        collecting() as collector,
        traced_topics(servers, collector, **more) as topics,
    ):
        qa = topics.settings.qa
        await topics.send([event(0)], headers=CONTEXT)
        await topics.send([event(0, id="again")])
        await topics.send([event(2)], headers=[("traceparent", f"00-{TRACE}-{PARENT}-00".encode())])
        await topics.send([event(3)], headers=[("traceparent", b"malformed")])
        await topics.send([event(4)], headers=[("reply_to", qa.answers_topic.encode())])
        await topics.send([b"{"], headers=[("traceparent", SAMPLED)])
        await topics.send([event(6, expires_at="1970-01-01T00:00:01.5Z")])
        async with WorkerProcess(topics.environment) as worker:
            await topics.committed_are({0: 7})
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 0
            assert "opentelemetry" not in worker.output
        answers = {json.loads(each.value)["id"]: each for each in await topics.answers()}
        return Exported(collector, topics, answers, await topics.dead_letters())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exactly_once(broker: Broker) -> Exported:
    return await _exported(broker.bootstrap_servers, QA_CACHE_BYTES="0")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_least_once(broker: Broker) -> Exported:
    return await _exported(
        broker.bootstrap_servers, QA_DELIVERY="at_least_once", QA_CACHE_BYTES="100000"
    )


@pytest.fixture(params=["exactly_once", "at_least_once"])
def exported(
    request: pytest.FixtureRequest, exactly_once: Exported, at_least_once: Exported
) -> Exported:
    return {"exactly_once": exactly_once, "at_least_once": at_least_once}[str(request.param)]


def span_of_record(collector: Collector, offset: int) -> Span:
    """The span of the record at `offset`."""
    (span,) = (
        span
        for span in collector.of_type("process")
        if attributes(span)["messaging.kafka.offset"] == offset
    )
    return span


def interval(span: Span) -> tuple[int, int]:
    return span.start_time_unix_nano, span.end_time_unix_nano


def test_record_span_continues_the_producers_trace(exported: Exported) -> None:
    collector, qa = exported.collector, exported.topics.settings.qa
    span = exported.record(0)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert (span.name, span.kind) == (f"process {qa.questions_topic}", Span.SPAN_KIND_CONSUMER)
    own = {name: value for name, value in attributes(span).items() if name.startswith("qa.")}
    own.pop("qa.cache", None)
    assert own == {"qa.outcome": "answered", "qa.contexts": 1, "qa.windows": 1}
    group_id = exported.topics.settings.kafka.group_id
    assert attributes(span)["messaging.consumer.group.name"] == group_id
    assert span.status.code == Status.STATUS_CODE_UNSET
    # The stages follow each other within the record's span.
    assert [stage for stage in exported.stages(0) if stage != "cache"] == STAGES
    stages = collector.children(span)
    times = [time for stage in stages for time in interval(stage)]
    began, ended = interval(span)
    assert [began, *times, ended] == sorted([began, *times, ended])
    *_, send, _commit = stages
    assert (send.name, send.kind) == (f"send {qa.answers_topic}", Span.SPAN_KIND_PRODUCER)
    # A consumer of the answer continues the trace below the span that sent it.
    answer = exported.answers["q-0"]
    headers = dict(answer.headers)
    assert headers["traceparent"] == f"00-{TRACE}-{send.span_id.hex()}-01".encode()
    assert headers["tracestate"] == b"a=b"
    assert [name for name, _ in answer.headers].count("traceparent") == 1
    assert collector.resource["service.name"] == "qa-worker"


def test_repeated_question_has_a_stage_of_the_answer_cache(
    exactly_once: Exported, at_least_once: Exported
) -> None:
    for exported, stages, results in (
        (exactly_once, STAGES, (None,)),
        (at_least_once, CACHED_STAGES, ("wait", "hit")),
    ):
        assert exported.stages(1) == stages
        assert attributes(exported.record(1)).get("qa.cache") in results
        first, again = (json.loads(exported.answers[name].value) for name in ("q-0", "again"))
        assert first["score"] == again["score"]


async def test_batch_span_and_record_spans_link_to_each_other(broker: Broker) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector, OTEL_METRICS_EXPORTER="none") as topics,
    ):
        await topics.send([event(n) for n in range(8)])
        await answered_by_a_worker(topics, 8)
    assert not collector.metric_exports

    batches = {batch.span_id: batch for batch in collector.named("micro-batch")}
    linked = 0
    for offset in range(8):
        record = span_of_record(collector, offset)
        assert record.parent_span_id == b""  # no trace context, so a root span
        (run,) = (stage for stage in collector.children(record) if stage.name == "inference")
        (link,) = run.links
        batch = batches[link.span_id]
        assert batch.trace_id == link.trace_id != record.trace_id
        assert (record.trace_id, record.span_id) in [(x.trace_id, x.span_id) for x in batch.links]
        assert interval(batch) == interval(run)
        assert attributes(batch)["qa.batch.windows"] == len(batch.links)
        linked += 1
    assert linked == sum(len(batch.links) for batch in batches.values()) == 8
    assert len(batches) < 8


def test_unsampled_record_is_not_exported_but_propagated(exported: Exported) -> None:
    offsets = {
        attributes(span)["messaging.kafka.offset"] for span in exported.collector.of_type("process")
    }
    assert offsets == {0, 1, 3, 4, 5, 6}
    malformed = exported.record(3)
    assert malformed.parent_span_id == b""
    context = dict(exported.answers["q-2"].headers)["traceparent"].decode().split("-")
    assert (context[1], context[3]) == (TRACE, "00")
    assert context[2] != PARENT
    sent = dict(exported.answers["q-3"].headers)["traceparent"].decode()
    assert sent.split("-")[1] == malformed.trace_id.hex()


async def test_without_traces_the_question_keeps_its_context_and_metrics_are_exported(
    broker: Broker,
) -> None:
    async with collecting() as collector:
        environment = {
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.endpoint}/v1/metrics",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }
        async with traced_topics(broker.bootstrap_servers, collector, **environment) as topics:
            await topics.send([event(0)], headers=CONTEXT)
            (answer,) = await answered_by_a_worker(topics, 1)
    assert dict(answer.headers)["traceparent"] == SAMPLED
    assert not collector.spans
    assert len(collector.metric_exports) > 1  # one more than the last


async def test_span_of_a_question_that_is_sent_on_names_its_topic(broker: Broker) -> None:
    more = {"QA_UNSURE_TOPIC": f"unsure-{uuid.uuid4().hex[:8]}", "QA_MIN_SCORE": "1"}
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector, **more) as topics,
    ):
        await topics.send([event(0)], partition=0, headers=[("traceparent", SAMPLED)])
        async with WorkerProcess(topics.environment) as worker:
            await topics.committed_are({0: 1})
            worker.signal(signal.SIGTERM)
            await worker.ended()
        (sent_on,) = await topics.records(more["QA_UNSURE_TOPIC"])

    span = span_of_record(collector, 0)
    assert attributes(span)["qa.outcome"] == "unsure"
    assert span.status.code == Status.STATUS_CODE_UNSET
    names = [stage.name for stage in collector.children(span)]
    assert f"send {more['QA_UNSURE_TOPIC']}" in names
    assert dict(sent_on.headers)["traceparent"] == SAMPLED


def test_record_span_names_the_reply_topic(exported: Exported) -> None:
    answers = exported.topics.settings.qa.answers_topic
    assert attributes(exported.record(4))["qa.reply.topic"] == answers


def test_rejected_record_span_has_the_reason(exported: Exported) -> None:
    span, qa = exported.record(5), exported.topics.settings.qa
    assert (span.status.code, span.status.message) == (
        Status.STATUS_CODE_ERROR,
        "EOF while parsing an object at line 1 column 1",
    )
    assert attributes(span)["error.type"] == "not_json"
    assert attributes(span)["messaging.message.id"] == f"{qa.questions_topic}-0-5"
    decode, send, _commit = exported.collector.children(span)
    assert decode.name == "decode"
    assert send.name == f"send {qa.dead_letters_topic}"
    (dead_letter,) = exported.dead_letters
    assert dict(dead_letter.headers)["traceparent"] == SAMPLED


def test_dropped_record_span_has_its_deadline_and_sends_nothing(exported: Exported) -> None:
    expected = {"qa.outcome": "expired", "qa.expired": "drop", "qa.deadline": 1.5}
    assert expected.items() <= attributes(exported.record(6)).items()
    assert exported.stages(6) == ["decode", "commit"]


async def test_a_record_out_of_the_sample_is_no_error_and_sends_nothing(broker: Broker) -> None:
    # q-0 is in the sample of 0.3, q-1 is not.
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector, QA_SAMPLE="0.3") as topics,
    ):
        await topics.send([event(1), event(0)], partition=0)
        await answered_by_a_worker(topics, 1)
    record = span_of_record(collector, 0)
    assert attributes(record)["qa.outcome"] == "out_of_sample"
    assert record.status.code == Status.STATUS_CODE_UNSET
    assert [span.name for span in collector.children(record)] == ["decode", "commit"]


async def test_unreachable_collector_costs_no_answer(
    broker: Broker,
) -> None:
    collector = Collector()
    collector.endpoint = "http://127.0.0.1:9"
    async with traced_topics(broker.bootstrap_servers, collector) as topics:
        await topics.send([event(n) for n in range(20)])
        async with WorkerProcess(topics.environment) as worker:
            await until(lambda: topics.has(20), "the answers")
            await until(lambda: "opentelemetry.exporter" in worker.output, "the error is logged")
            worker.signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await worker.ended() == 0
            assert worker.events("trace_export_failed")
            assert worker.events("metric_export_failed")
        assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(20))
