"""Spans and metrics of a worker process against OpenTelemetry's messaging conventions."""

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.brokers.protocol import Broker
from tests.observability.collector import Collector, attributes, collecting, values
from tests.observability.conventions import (
    BOUNDARIES,
    METRICS,
    span_problems,
    table_problems,
)
from tests.streaming.topics import Topics
from tests.streaming.traced_worker import PARENT, TRACE, every_outcome
from worker.observability import tracing

pytestmark = pytest.mark.process

RECOMMENDED = {
    "messaging.client.id",
    "messaging.destination.partition.id",
    "messaging.kafka.cluster.id",
    "messaging.kafka.offset",
    "messaging.message.id",
    "server.address",
    "server.port",
}
"""What each span of a single message has, beside what depends on the message."""


@dataclass
class Exported:
    """What a worker exported for a record of every outcome."""

    collector: Collector
    topics: Topics
    replies: str

    def record(self, offset: int) -> Span:
        """The span of the record at `offset`."""
        found = {attributes(each)["messaging.kafka.offset"]: each for each in self.processes}
        return found[offset]

    def sends(self, offset: int) -> list[Span]:
        """The spans of the messages that were sent for it."""
        children = self.collector.children(self.record(offset))
        return [each for each in children if each.name.startswith("send ")]

    @property
    def processes(self) -> list[Span]:
        return self.collector.of_type("process")


@pytest_asyncio.fixture(params=["exactly_once", "at_least_once"])
async def exported(request: pytest.FixtureRequest, broker: Broker) -> AsyncIterator[Exported]:
    servers = broker.bootstrap_servers
    async with (
        collecting() as collector,
        every_outcome(servers, collector, QA_DELIVERY=str(request.param)) as (topics, replies),
    ):
        yield Exported(collector, topics, replies)


async def test_spans_and_metrics_conform_to_the_messaging_conventions(exported: Exported) -> None:
    spans_conform(exported)
    answer_continues_the_trace(
        exported, {each.key: each for each in await exported.topics.answers()}
    )
    dead_letters_keep_or_get_a_context(exported, await exported.topics.dead_letters())
    reply_has_a_span_of_its_own(
        exported, await exported.topics.answers(), await exported.topics.records(exported.replies)
    )
    polls_and_commits_link_to_their_records(exported)
    metrics_conform(exported)
    readme_lists_the_attributes(exported)


def spans_conform(exported: Exported) -> None:
    collector = exported.collector
    messaging = [each for each in collector.spans if "messaging.system" in attributes(each)]
    problems = {each.name: found for each in messaging if (found := span_problems(each))}
    assert not problems
    kinds = {str(attributes(each)["messaging.operation.type"]) for each in messaging}
    assert kinds == {"receive", "process", "send", "settle"}
    sends = [each for offset in range(4) for each in exported.sends(offset)]
    for span in (*exported.processes, *sends):
        assert not RECOMMENDED - set(attributes(span)), span.name
    host, port = exported.topics.servers.rsplit(":", 1)
    of_first = attributes(exported.record(0))
    assert (of_first["server.address"], of_first["server.port"]) == (host, int(port))
    assert (of_first["messaging.kafka.message.key"], of_first["messaging.message.id"]) == (
        "k",
        "q-0",
    )
    assert of_first["messaging.message.conversation_id"] == "c-0"
    assert "messaging.kafka.message.key" not in attributes(exported.record(1))  # not text
    assert "messaging.kafka.message.key" not in attributes(exported.record(3))  # null
    assert attributes(exported.record(2))["messaging.kafka.message.tombstone"] is True
    failures = [attributes(each).get("error.type") for each in exported.processes]
    assert failures == [None, "not_json", "null_value", None]
    assert collector.schema_urls == {"https://opentelemetry.io/schemas/1.44.0"}


def answer_continues_the_trace(exported: Exported, answers: dict[bytes, Any]) -> None:
    """Producer's span, then process, then send, then the consumer of the answer."""
    process = exported.record(0)
    assert (process.trace_id.hex(), process.parent_span_id.hex()) == (TRACE, PARENT)
    (created,) = process.links
    assert (created.trace_id.hex(), created.span_id.hex()) == (TRACE, PARENT)
    (send,) = exported.sends(0)
    assert send.kind == Span.SPAN_KIND_PRODUCER
    answer = answers[b"k"]
    assert carried(answer) == (TRACE, send.span_id.hex())
    assert dict(answer.headers)["tracestate"] == b"a=b"
    of_send = attributes(send)
    assert of_send["messaging.kafka.offset"] == answer.offset
    assert of_send["messaging.destination.partition.id"] == "0"
    assert of_send["messaging.message.conversation_id"] == "c-0"


def dead_letters_keep_or_get_a_context(exported: Exported, letters: Iterable[Any]) -> None:
    """The context that a question has is not changed; one without gets that of its send span."""
    without, with_context = letters
    (created,) = exported.sends(1)
    assert created.kind == Span.SPAN_KIND_PRODUCER
    assert carried(without) == (created.trace_id.hex(), created.span_id.hex())
    (sent_on,) = exported.sends(2)
    assert sent_on.kind == Span.SPAN_KIND_CLIENT
    assert carried(with_context) == (TRACE, PARENT)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in sent_on.links] == [
        (TRACE, PARENT)
    ]
    assert attributes(sent_on)["messaging.kafka.message.tombstone"] is True
    span = exported.record(2)
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert span.status.message.startswith("the record has no value")


def reply_has_a_span_of_its_own(
    exported: Exported, answers: Iterable[Any], replies: Iterable[Any]
) -> None:
    """Its destination has the prefix that allows it as template: clients name the topic."""
    (reply,) = replies
    answer = list(answers)[-1]
    spans = exported.sends(3)
    by_topic = {attributes(each)["messaging.destination.name"]: each for each in spans}
    template = exported.topics.settings.qa.reply_topics[0]
    own = by_topic[exported.replies]
    assert own.name == f"send {template}"
    assert attributes(own)["messaging.destination.template"] == template
    assert carried(reply)[1] == own.span_id.hex()
    beside = by_topic[exported.topics.settings.qa.answers_topic]
    assert carried(answer)[1] == beside.span_id.hex()
    # A root: the question has no trace context.
    assert exported.record(3).parent_span_id == b""
    assert not exported.record(3).links


def polls_and_commits_link_to_their_records(exported: Exported) -> None:
    polls = exported.collector.of_type("receive")
    assert sum(int(attributes(each)["messaging.batch.message_count"]) for each in polls) == 4
    linked = [link for each in polls for link in each.links]
    assert {(link.trace_id.hex(), link.span_id.hex()) for link in linked} == {(TRACE, PARENT)}
    of_links = [values(link.attributes) for link in linked]
    assert [each.get("messaging.kafka.offset") for each in of_links] == [0, 2]

    commits = exported.collector.of_type("settle")
    assert sum(int(attributes(each)["messaging.batch.message_count"]) for each in commits) == 4
    settled = {link.span_id for each in commits for link in each.links}
    assert settled == {each.span_id for each in exported.processes}
    commit_ids = {each.span_id for each in commits}
    for process in exported.processes:
        (stage,) = [s for s in exported.collector.children(process) if s.name == "commit"]
        assert {link.span_id for link in stage.links} <= commit_ids
        assert stage.end_time_unix_nano <= process.end_time_unix_nano


def metrics_conform(exported: Exported) -> None:
    last = exported.collector.metric_exports[-1]
    assert set(last) == set(METRICS)
    for name, metric in last.items():
        rules = METRICS[name]
        assert (metric.WhichOneof("data"), metric.unit) == (rules.instrument, rules.unit)
        data = getattr(metric, rules.instrument)
        assert (
            data.aggregation_temporality
            == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        )
        for point in data.data_points:
            assert not table_problems(rules.attributes, values(point.attributes)), name
            if rules.instrument == "histogram":
                assert list(point.explicit_bounds) == BOUNDARIES

    def counted(name: str, of: str) -> dict[object, int]:
        points = getattr(last[name], METRICS[name].instrument).data_points
        counts: dict[object, int] = {}
        for point in points:
            key = values(point.attributes).get(of)
            size = point.count if METRICS[name].instrument == "histogram" else point.as_int
            counts[key] = counts.get(key, 0) + size
        return counts

    qa = exported.topics.settings.qa
    assert counted("messaging.client.consumed.messages", "messaging.destination.name") == {
        qa.questions_topic: 4
    }
    # The topic that a client names is not a value: there may be any number of them.
    assert counted("messaging.client.sent.messages", "messaging.destination.name") == {
        qa.answers_topic: 2,
        qa.dead_letters_topic: 2,
        None: 1,
    }
    assert counted("messaging.process.duration", "error.type") == {
        None: 2,
        "not_json": 1,
        "null_value": 1,
    }
    operations = counted("messaging.client.operation.duration", "messaging.operation.name")
    assert operations["send"] == 5
    assert {"poll", "commit"} < set(operations)
    names = exported.collector.metric_resource
    assert names["service.name"] == "qa-worker"
    assert names["service.instance.id"] == exported.collector.resource["service.instance.id"]


def readme_lists_the_attributes(exported: Exported) -> None:
    readme = (Path(tracing.__file__).parent / "README.md").read_text()
    listed = {
        (name, span)
        for names, spans in re.findall(r"^\| (`[\w.`, ]+`) \| ([\w, -]+) \|", readme, re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", names)
        for span in spans.split(", ")
    }
    found = {
        (name, span.name.split()[0])
        for span in exported.collector.spans
        for name in attributes(span)
    }
    assert found <= listed


def carried(record: Any) -> tuple[str, str]:
    """Trace and span in the headers of a message, which has one context."""
    (text,) = [text for name, text in record.headers if name == "traceparent"]
    _, trace, span, _ = text.decode().split("-")
    return trace, span
