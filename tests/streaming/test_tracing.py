"""Traces of a worker process, as a collector receives them over OTLP."""

import asyncio
import json
import signal
import subprocess
import sys
import uuid

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.brokers.protocol import Broker
from tests.observability.collector import Collector, attributes, collecting
from tests.streaming.topics import event, until
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


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_record_span_continues_the_producers_trace(broker: Broker, delivery: str) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector, QA_DELIVERY=delivery) as topics,
    ):
        await topics.send([event(0)], headers=CONTEXT)
        (answer,) = await answered_by_a_worker(topics, 1)

    qa = topics.settings.qa
    span = span_of_record(collector, 0)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert (span.name, span.kind) == (f"process {qa.questions_topic}", Span.SPAN_KIND_CONSUMER)
    own = {name: value for name, value in attributes(span).items() if name.startswith("qa.")}
    assert own == {"qa.outcome": "answered", "qa.contexts": 1, "qa.windows": 1}
    assert attributes(span)["messaging.consumer.group.name"] == topics.settings.kafka.group_id
    assert span.status.code == Status.STATUS_CODE_UNSET
    # The stages follow each other within the record's span.
    stages = collector.children(span)
    assert [stage.name.split()[0] for stage in stages] == STAGES
    times = [time for stage in stages for time in interval(stage)]
    began, ended = interval(span)
    assert [began, *times, ended] == sorted([began, *times, ended])
    send = stages[4]
    assert (send.name, send.kind) == (f"send {qa.answers_topic}", Span.SPAN_KIND_PRODUCER)
    # A consumer of the answer continues the trace below the span that sent it.
    headers = dict(answer.headers)
    assert headers["traceparent"] == f"00-{TRACE}-{send.span_id.hex()}-01".encode()
    assert headers["tracestate"] == b"a=b"
    assert [name for name, _ in answer.headers].count("traceparent") == 1
    assert collector.resource["service.name"] == "qa-worker"


@pytest.mark.parametrize(
    ("cache_bytes", "stages"),
    [("100000", ["decode", "cache", "send", "commit"]), ("0", STAGES)],
)
async def test_repeated_question_has_a_stage_of_the_answer_cache(
    broker: Broker, cache_bytes: str, stages: list[str]
) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector, QA_CACHE_BYTES=cache_bytes) as topics,
    ):
        await topics.send([event(0), event(0, id="again")])
        first, again = await answered_by_a_worker(topics, 2)

    span = span_of_record(collector, 1)
    assert [stage.name.split()[0] for stage in collector.children(span)] == stages
    on = cache_bytes != "0"
    assert attributes(span).get("qa.cache") in (("wait", "hit") if on else (None,))
    answers = [json.loads(record.value) for record in (first, again)]
    assert [answer["id"] for answer in answers] == ["q-0", "again"]
    assert answers[0]["score"] == answers[1]["score"]


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


async def test_unsampled_record_is_not_exported_but_propagated(
    broker: Broker,
) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector) as topics,
    ):
        await topics.send([event(0)], headers=[("traceparent", f"00-{TRACE}-{PARENT}-00".encode())])
        await topics.send([event(1)], headers=[("traceparent", b"malformed")])
        unsampled, malformed = await answered_by_a_worker(topics, 2)

    (exported,) = collector.named(f"process {topics.settings.qa.questions_topic}")
    assert attributes(exported)["messaging.kafka.offset"] == 1
    assert exported.parent_span_id == b""
    context = dict(unsampled.headers)["traceparent"].decode().split("-")
    assert (context[1], context[3]) == (TRACE, "00")
    assert context[2] != PARENT
    assert dict(malformed.headers)["traceparent"].decode().split("-")[1] == exported.trace_id.hex()


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


async def test_record_span_names_the_reply_topic(broker: Broker) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector, QA_REPLY_TOPICS="*") as topics,
    ):
        answers = topics.settings.qa.answers_topic
        await topics.send([event(0)], headers=[("reply_to", answers.encode())])
        await answered_by_a_worker(topics, 1)
    span = span_of_record(collector, 0)
    assert attributes(span)["qa.reply.topic"] == answers


async def test_rejected_record_span_has_the_reason(broker: Broker) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector) as topics,
    ):
        await topics.send([b"{"], headers=[("traceparent", SAMPLED)])
        async with WorkerProcess(topics.environment) as worker:

            async def committed() -> bool:
                return (await topics.committed())[0] == 1

            await until(committed, "the dead letter is committed")
            worker.signal(signal.SIGTERM)
            await worker.ended()
        (dead_letter,) = await topics.dead_letters()

    span = span_of_record(collector, 0)
    assert (span.status.code, span.status.message) == (
        Status.STATUS_CODE_ERROR,
        "EOF while parsing an object at line 1 column 1",
    )
    assert attributes(span)["error.type"] == "not_json"
    assert attributes(span)["messaging.message.id"] == f"{topics.settings.qa.questions_topic}-0-0"
    decode, send, _commit = collector.children(span)
    assert decode.name == "decode"
    assert send.name == f"send {topics.settings.qa.dead_letters_topic}"
    assert dict(dead_letter.headers)["traceparent"] == SAMPLED


async def test_dropped_record_span_has_its_deadline_and_sends_nothing(broker: Broker) -> None:
    async with (
        collecting() as collector,
        traced_topics(broker.bootstrap_servers, collector) as topics,
    ):
        topics.environment["QA_EXPIRED"] = "drop"
        await topics.send([event(0, expires_at="1970-01-01T00:00:01.5Z"), event(1)], partition=0)
        await answered_by_a_worker(topics, 1)
    record = span_of_record(collector, 0)
    expected = {"qa.outcome": "expired", "qa.expired": "drop", "qa.deadline": 1.5}
    assert expected.items() <= attributes(record).items()
    assert [span.name for span in collector.children(record)] == ["decode", "commit"]


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector"),
    ],
)
def test_unusable_exporter_setting_is_reported_in_one_line(name: str, value: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "run"],
        env={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "QA_TRACING": "true", name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"qa-worker: {name} is {value!r}: ")


def test_opentelemetry_is_imported_only_with_tracing() -> None:
    loading = "import sys, worker.cli; print([m for m in sys.modules if 'opentelemetry' in m])"
    ended = subprocess.run(
        [sys.executable, "-c", loading], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"
