"""OpenTelemetry spans of records, micro-batches, polls and commits, exported by OTLP over HTTP.

A record has a span from its poll to its commit, a child of the producer's `traceparent`, with a
child span for each stage and for each message that is sent for it. A micro-batch, a poll and a
commit concern several records, so each has a separate trace, with links to the spans of these
records or to those of their producers. OpenTelemetry's `OTEL_...` variables set the endpoint, the
sampling and the batching of the export.

The span of a record starts when its partition gets the record. Its child spans are created when
the record is committed, from the times in its `RecordTrace`. Names and attributes follow the
semantic conventions for messaging (`messaging.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.observability import messaging
from worker.observability.client_operations import Header, Poll, Send
from worker.observability.linked_spans import BatchSpans, LinkedSampler, SpanIds
from worker.observability.messaging import MessagingAttributes
from worker.observability.otlp import SCHEMA_URL
from worker.observability.record_trace import Commit, RecordTrace, TraceListener

_W3C = TraceContextTextMapPropagator()


@dataclass(slots=True)
class _OpenRecord:
    """A record whose trace has not ended."""

    span: Span
    sends: set[int] = field(default_factory=set)
    """The ids of the spans whose contexts messages carry."""
    commit: tuple[SpanContext, int] | None = None
    """The span of the commit of its offset, and its end."""


class Tracing(TraceListener):
    """A listener that exports spans. Call `close` at the end."""

    def __init__(self, attributes: MessagingAttributes, resource: Resource, version: str) -> None:
        """Does not validate the environment: call `otlp.signals` first."""
        self._ids = SpanIds()
        self._provider = TracerProvider(
            resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )
        self._provider.sampler = LinkedSampler(self._provider.sampler)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("qa-worker", version, SCHEMA_URL)
        self._open: dict[RecordTrace, _OpenRecord] = {}
        self._batches = BatchSpans(self._tracer)
        self._attributes = attributes

    def close(self) -> None:
        """Export the remaining spans. May block for long."""
        self._batches.close()
        self._provider.shutdown()

    # The listener's part, on the event loop.

    def on_connect(self, cluster_id: str) -> None:
        self._attributes.cluster_id = cluster_id

    def on_poll(self, poll: Poll) -> None:
        attributes = self._attributes.span("poll", "receive", consumer=True)
        attributes["messaging.batch.message_count"] = len(poll.records)
        links = []
        if poll.records:
            of_records = [
                {
                    **self._attributes.destination(each.topic),
                    **messaging.position(each.partition, each.offset),
                    **messaging.message(each.key, is_tombstone=each.value is None),
                    **self._attributes.conversation(each.headers),
                }
                for each in poll.records
            ]
            attributes |= messaging.shared(of_records)
            for record, of_record in zip(poll.records, of_records, strict=True):
                if (created := _creation_context(record.headers)).is_valid:
                    own = {k: v for k, v in of_record.items() if k not in attributes}
                    links.append(Link(created, own))
        topics = {each.topic for each in poll.records}
        span = self._tracer.start_span(
            self._attributes.span_name("poll", topics),
            Context(),
            SpanKind.CLIENT,
            attributes | messaging.error(poll.error_type),
            links,
            poll.began,
        )
        _end(span, poll.ended, poll.error_type, poll.error)

    def on_start(self, trace: RecordTrace) -> None:
        parent = _W3C.extract(_texts(trace.headers), Context())
        created = get_current_span(parent).get_span_context()
        span = self._tracer.start_span(
            self._attributes.span_name("process", [trace.topic]),
            parent,
            SpanKind.CONSUMER,
            {
                **self._attributes.span("process", "process", consumer=True),
                **self._attributes.destination(trace.topic),
                **messaging.position(trace.partition, trace.offset),
                **messaging.message(trace.key, is_tombstone=trace.is_tombstone),
                **self._attributes.conversation(trace.headers),
            },
            [Link(created)] if created.is_valid else [],
            trace.received,
        )
        opened = self._open[trace] = _OpenRecord(span)
        trace.new_context = partial(self._new_context, opened)

    def _new_context(self, opened: _OpenRecord) -> Sequence[Header]:
        """The trace headers of a message: the context of a child span that sends it."""
        parent = opened.span.get_span_context()
        own = SpanContext(
            parent.trace_id,
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=parent.trace_flags,
            trace_state=parent.trace_state,
        )
        opened.sends.add(own.span_id)
        carried: dict[str, str] = {}
        _W3C.inject(carried, set_span_in_context(NonRecordingSpan(own), Context()))
        return [(name, text.encode()) for name, text in carried.items()]

    def on_commit(self, commit: Commit) -> None:
        if not commit.records:
            return
        spans = [self._open[trace].span.get_span_context() for trace in commit.traces]
        sampled = [context for context in spans if context.trace_flags.sampled]
        if spans and not sampled:
            return
        topics = {topic for topic, _ in commit.partitions}
        attributes = self._attributes.span("commit", "settle", consumer=True)
        attributes["messaging.batch.message_count"] = commit.records
        attributes |= messaging.shared(
            [
                self._attributes.destination(topic) | messaging.position(partition, None)
                for topic, partition in commit.partitions
            ]
        )
        if len(commit.traces) == 1:
            attributes |= messaging.position(None, commit.traces[0].offset)
        span = self._tracer.start_span(
            self._attributes.span_name("commit", topics),
            Context(),
            SpanKind.CLIENT,
            attributes | messaging.error(commit.error_type),
            [Link(context) for context in sampled],
            commit.began,
        )
        _end(span, commit.ended, commit.error_type, commit.error)
        for trace in commit.traces:
            self._open[trace].commit = span.get_span_context(), commit.ended

    def on_end(self, trace: RecordTrace) -> None:
        opened = self._open.pop(trace)
        span = opened.span
        if span.is_recording():
            self._add_children(opened, trace)
            span.set_attributes(
                {"qa.outcome": trace.outcome, **trace.attributes, **messaging.error(trace.failure)}
            )
            optional = {
                "messaging.message.id": trace.id,
                "qa.cache": trace.cache,
                "qa.deadline": trace.deadline,
                "qa.expired": trace.expired,
                "qa.reply.topic": trace.reply_topic,
            }
            span.set_attributes({k: v for k, v in optional.items() if v is not None and v != ""})
        _end(span, trace.ended, trace.failure, trace.detail)

    def _add_children(self, opened: _OpenRecord, trace: RecordTrace) -> None:
        within = set_span_in_context(opened.span, Context())
        for stage in trace.stages:
            if stage.name != "publish":
                child = self._tracer.start_span(stage.name, within, start_time=stage.began)
                child.end(stage.ended)
        for batch in trace.batches:
            self._tracer.start_span(
                "inference",
                within,
                links=[Link(self._batches.link(batch, opened.span).get_span_context())],
                start_time=batch.began,
            ).end(batch.ended)
        for send in trace.sends:
            self._add_send(opened, within, trace, send)
        if opened.commit is not None:
            context, ended = opened.commit
            of_stages = (each.ended for each in trace.stages)
            of_sends = (each.ended for each in trace.sends)
            began = min(ended, max(trace.received, *of_stages, *of_sends))
            child = self._tracer.start_span(
                "commit", within, links=[Link(context)], start_time=began
            )
            child.end(ended)

    def _add_send(
        self, opened: _OpenRecord, within: Context, trace: RecordTrace, send: Send
    ) -> None:
        """A message that carries another context than its own is linked to it: a dead letter keeps
        the context of its question.
        """
        created = _creation_context(send.headers)
        own = created.is_valid and created.span_id in opened.sends
        if own:
            self._ids.next_span_id = created.span_id
        attributes = {
            **self._attributes.span("send", "send", consumer=False),
            **self._attributes.destination(send.topic),
            **messaging.position(send.partition, send.offset),
            **messaging.message(send.key, is_tombstone=send.is_tombstone),
            **self._attributes.conversation(send.headers),
            **messaging.error(send.error_type),
        }
        if trace.id:
            attributes["messaging.message.id"] = trace.id
        span = self._tracer.start_span(
            self._attributes.span_name("send", [send.topic]),
            within,
            SpanKind.PRODUCER if own else SpanKind.CLIENT,
            attributes,
            [] if own or not created.is_valid else [Link(created)],
            send.began,
        )
        _end(span, send.ended, send.error_type, send.error)


def _end(span: Span, ended: int, error_type: str, error: str) -> None:
    if error_type:
        span.set_status(StatusCode.ERROR, error or None)
    span.end(ended)


def _creation_context(headers: Sequence[Header]) -> SpanContext:
    """The context that a message carries; invalid if it carries none."""
    return get_current_span(_W3C.extract(_texts(headers), Context())).get_span_context()


def _texts(headers: Sequence[Header]) -> dict[str, str]:
    return {name.lower(): text.decode("utf-8", "replace") for name, text in headers if text}
