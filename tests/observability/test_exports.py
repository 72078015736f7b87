"""Failed operations, as a collector receives them. No broker: the operations are given."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.observability.collector import Collector, attributes, collecting, values
from tests.observability.conventions import METRICS, span_problems, table_problems
from worker.kafka.records import InputRecord
from worker.observability.client_operations import Header, Poll, Send
from worker.observability.export import open_exports
from worker.observability.messaging import MAX_KEY_BYTES, MessagingClient
from worker.observability.otlp import Signals, close_providers
from worker.observability.record_trace import (
    ANSWERED,
    DROPPED,
    Commit,
    RecordTrace,
    TraceDispatcher,
)

CLIENT = MessagingClient(
    group="g",
    client_id="c",
    server_address="broker",
    server_port=9092,
    topics=["q", "a"],
    reply_prefixes=["replies.", "replies.eu."],
)
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = TRACEPARENT[:-2] + b"00"


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`async with exporting() as (collector, traces)`; everything is exported at its end."""

    @asynccontextmanager
    async def run() -> AsyncIterator[tuple[Collector, TraceDispatcher]]:
        async with collecting() as collector:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
            exports = open_exports(Signals(traces=True, metrics=True), CLIENT, "1")
            yield collector, TraceDispatcher(*exports.values())
            closings = {signal: each.close for signal, each in exports.items()}
            await asyncio.to_thread(close_providers, closings)
            for span in collector.spans:
                if "messaging.system" in attributes(span):
                    assert not span_problems(span), span
            for name, metric in collector.metric_exports[-1].items():
                for point in getattr(metric, METRICS[name].instrument).data_points:
                    assert not table_problems(METRICS[name].attributes, values(point.attributes))

    return run


def record(offset: int = 0, *headers: Header, key: bytes | None = None) -> InputRecord:
    return InputRecord("q", 0, offset, key, b"{}", headers)


def started(traces: TraceDispatcher, polled: InputRecord) -> RecordTrace:
    trace = traces.start(polled)
    assert trace is not None
    return trace


def error_types(collector: Collector, metric: str) -> set[Any]:
    data = getattr(collector.metric_exports[-1][metric], METRICS[metric].instrument)
    return {values(point.attributes).get("error.type") for point in data.data_points}


async def test_failed_poll_and_commit_have_the_error(exporting: Any) -> None:
    async with exporting() as (collector, traces):
        now = time.time_ns()
        traces.polled(Poll(now - 10, now, [], "TOPIC_AUTHORIZATION_FAILED", "no access"))
        traces.committed(Commit(now - 10, now, [("q", 0), ("q", 1)], 3, [], "TimeoutError", "late"))
    poll, commit = collector.of_type("receive") + collector.of_type("settle")
    assert (poll.name, commit.name) == ("poll", "commit q")
    assert attributes(poll)["error.type"] == "TOPIC_AUTHORIZATION_FAILED"
    assert attributes(commit)["error.type"] == "TimeoutError"
    assert (poll.status.message, commit.status.message) == ("no access", "late")
    # The partitions differ.
    assert "messaging.destination.partition.id" not in attributes(commit)
    expected = {"TOPIC_AUTHORIZATION_FAILED", "TimeoutError"}
    assert error_types(collector, "messaging.client.operation.duration") == expected


async def test_refused_answer_is_a_failed_send_before_its_dead_letter(exporting: Any) -> None:
    async with exporting() as (collector, traces):
        trace = started(traces, record(0, ("traceparent", TRACEPARENT)))
        assert trace.new_context is not None
        now = time.time_ns()
        refused = Send("a", None, trace.new_context(), False, now, now, error_type="INVALID_RECORD")
        kept = [("traceparent", TRACEPARENT)]
        trace.sends += [refused, Send("q", b"k", kept, True, now, now, 0, 7)]
        trace.detail = "a refuses the record"
        traces.end(trace, "answer_refused")
    failed, letter = collector.of_type("send")
    assert (failed.name, failed.kind) == ("send a", Span.SPAN_KIND_PRODUCER)
    assert attributes(failed)["error.type"] == "INVALID_RECORD"
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert letter.kind == Span.SPAN_KIND_CLIENT
    assert attributes(letter)["messaging.kafka.message.tombstone"] is True
    assert error_types(collector, "messaging.client.sent.messages") == {"INVALID_RECORD", None}
    assert error_types(collector, "messaging.process.duration") == {"answer_refused"}
    (process,) = collector.of_type("process")
    assert process.status.message == "a refuses the record"


async def test_record_that_was_dropped_is_an_error_without_a_commit(exporting: Any) -> None:
    async with exporting() as (collector, traces):
        traces.end(started(traces, record()), DROPPED)
    (span,) = collector.spans
    assert attributes(span)["error.type"] == DROPPED
    assert span.status.code == Status.STATUS_CODE_ERROR


async def test_commit_of_unsampled_records_is_not_exported(exporting: Any) -> None:
    async with exporting() as (collector, traces):
        polled = [record(n, ("traceparent", UNSAMPLED)) for n in range(2)]
        opened = [started(traces, each) for each in polled]
        now = time.time_ns()
        traces.polled(Poll(now, now, polled))
        traces.committed(Commit(now, now, [("q", 0)], 2, opened))
        for trace in opened:
            traces.end(trace, ANSWERED)
    assert collector.spans == []
    (point,) = collector.metric_exports[-1]["messaging.client.consumed.messages"].sum.data_points
    assert point.as_int == 2


async def test_longest_prefix_is_the_template_of_a_reply_topic(exporting: Any) -> None:
    async with exporting() as (collector, traces):
        trace = started(traces, record())
        now = time.time_ns()
        for topic in ("replies.eu.1", "replies.1"):
            trace.sends.append(Send(topic, None, [], False, now, now, 0, 1))
        traces.end(trace, ANSWERED)
    assert {span.name for span in collector.of_type("send")} == {
        "send replies.eu.*",
        "send replies.*",
    }
    (_, *_) = points = collector.metric_exports[-1][
        "messaging.client.sent.messages"
    ].sum.data_points
    templates = {values(point.attributes)["messaging.destination.template"] for point in points}
    assert templates == {"replies.eu.*", "replies.*"}


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (None, None),
        (b"k" * MAX_KEY_BYTES, "k" * MAX_KEY_BYTES),
        (b"k" * (MAX_KEY_BYTES + 1), None),
        (b"\xff", None),
    ],
)
async def test_key_is_an_attribute_only_if_it_is_short_text(
    exporting: Any, key: bytes | None, shown: str | None
) -> None:
    async with exporting() as (collector, traces):
        polled = record(key=key)
        now = time.time_ns()
        traces.polled(Poll(now, now, [polled]))
        traces.end(started(traces, polled), ANSWERED)
    for span in collector.spans:
        assert attributes(span).get("messaging.kafka.message.key") == shown
