"""OpenTelemetry traces of records and of micro-batches, exported by OTLP over HTTP.

A record has a span from its poll to its commit, a child of the producer's `traceparent`, with a
child span for each stage; its answer carries that span's context. A micro-batch holds windows of
several records, so it has a separate trace, with links from and to the spans of these records.
OpenTelemetry's `OTEL_...` variables set the endpoint, the sampling and the batching of the export.

The span of a record starts at the poll, since the answer carries its context. Its child spans are
created when the record is committed, from the times in its `RecordTrace`. Names and attributes
follow OpenTelemetry's semantic conventions for messaging (1.37), where these define any.
"""

import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, finalize

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from worker.observability.record_trace import (
    ANSWERED,
    OUT_OF_SAMPLE,
    UNSURE,
    Header,
    RecordTrace,
)
from worker.observability.timings import BatchTiming

FLUSH_SECONDS = 2.0
"""Time to export the remaining spans. Less than QA_TERMINATION_GRACE_PERIOD_SECONDS leaves after
QA_SHUTDOWN_SECONDS, with their defaults."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"

log = structlog.get_logger(__name__)

_W3C = TraceContextTextMapPropagator()


class TracingError(Exception):
    """An `OTEL_...` variable has an unusable value; the message is one line that names it."""


def check(environment: Mapping[str, str]) -> None:
    """Raises `TracingError` for values that would make every export fail."""
    for name in _PROTOCOLS:
        if environment.get(name, _PROTOCOL) != _PROTOCOL:
            raise TracingError(
                f"{name} is {environment[name]!r}: traces are exported by {_PROTOCOL}"
            )
    for name in _ENDPOINTS:
        url = environment.get(name)
        if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise TracingError(
                f"{name} is {url!r}: give a URL, such as http://collector:4318 for OTLP over HTTP"
            )


class Tracing:
    """A `TraceListener` that exports spans. Call `close` at the end."""

    def __init__(
        self,
        *,
        version: str,
        group: str,
        answers_topic: str,
        dead_letters_topic: str,
        unsure_topic: str | None = None,
    ) -> None:
        """Does not validate the environment: call `check` first."""
        own = Resource({"service.name": "qa-worker", "service.version": version})
        self._provider = TracerProvider(
            resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.sampler = LinkedSampler(self._provider.sampler)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("qa-worker", version)
        self._spans: dict[RecordTrace, Span] = {}
        self._batches = _BatchSpans(self._tracer)
        self._group = group
        self._topics = {ANSWERED: answers_topic, UNSURE: unsure_topic or answers_topic}
        self._topics[OUT_OF_SAMPLE] = answers_topic  # nothing is sent there, and it is no error
        self._dead_letters_topic = dead_letters_topic

    def close(self) -> None:
        """Export the remaining spans. Blocks for `FLUSH_SECONDS` at most."""
        self._batches.close()
        # With an unreachable collector, the exporter ignores its timeout and retries for longer.
        closing = threading.Thread(target=self._provider.shutdown, name="qa-traces", daemon=True)
        closing.start()
        closing.join(FLUSH_SECONDS)
        if closing.is_alive():
            log.warning("trace_export_failed", seconds=FLUSH_SECONDS)

    # The listener's part, on the event loop.

    def on_start(self, trace: RecordTrace) -> None:
        parent = _W3C.extract(_texts(trace.headers), Context())
        span = self._tracer.start_span(
            f"process {trace.topic}",
            parent,
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.name": trace.topic,
                "messaging.destination.partition.id": str(trace.partition),
                "messaging.kafka.offset": trace.offset,
                "messaging.consumer.group.name": self._group,
            },
            start_time=trace.received,
        )
        self._spans[trace] = span
        carried: dict[str, str] = {}
        _W3C.inject(carried, set_span_in_context(span, Context()))
        trace.propagated = [(name, text.encode()) for name, text in carried.items()]

    def on_end(self, trace: RecordTrace) -> None:
        span = self._spans.pop(trace)
        if span.is_recording():
            self._add_children(span, trace)
            span.set_attributes(
                {
                    "messaging.message.id": trace.id,
                    "qa.outcome": trace.outcome,
                    **trace.attributes,
                }
            )
            if trace.cache:
                span.set_attribute("qa.cache", trace.cache)
            if trace.deadline is not None:
                span.set_attribute("qa.deadline", trace.deadline)
            if trace.expired:
                span.set_attribute("qa.expired", trace.expired)
            if trace.reply_topic:
                span.set_attribute("qa.reply.topic", trace.reply_topic)
            if trace.outcome not in self._topics:
                span.set_status(StatusCode.ERROR, trace.outcome)
        span.end(trace.ended)

    def _add_children(self, span: Span, trace: RecordTrace) -> None:
        within = set_span_in_context(span, Context())
        to = self._topics.get(trace.outcome, self._dead_letters_topic)
        if trace.reply_topic and to == self._topics[ANSWERED]:
            to = trace.reply_topic
        for stage in trace.stages:
            name, kind = stage.name, SpanKind.INTERNAL
            if name == "publish":
                name, kind = f"send {to}", SpanKind.PRODUCER
            child = self._tracer.start_span(name, within, kind, start_time=stage.began)
            child.end(stage.ended)
        for batch in trace.batches:
            batch_span = self._batches.link(batch, span)
            self._tracer.start_span(
                "inference",
                within,
                links=[Link(batch_span.get_span_context())],
                start_time=batch.began,
            ).end(batch.ended)


class _BatchSpans:
    """The spans of micro-batches. All records with windows in a batch share its span.

    The first sampled record that ends starts the span; later records add a link. The span ends when
    its last record has ended, which drops the last reference to its `BatchTiming`. Counting records
    instead would leak the spans of batches with a rejected or dropped record, because the trace of
    such a record does not list its batches.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: WeakKeyDictionary[BatchTiming, tuple[Span, finalize[..., BatchTiming]]] = (
            WeakKeyDictionary()
        )

    def link(self, batch: BatchTiming, record: Span) -> Span:
        """Returns the span of `batch`, linked to `record`, the span of one of its records."""
        link = record.get_span_context()
        if (opened := self._open.get(batch)) is not None:
            opened[0].add_link(link)
            return opened[0]
        span = self._tracer.start_span(
            "micro-batch",
            Context(),
            attributes={
                "qa.batch.windows": batch.windows,
                "qa.batch.padded_tokens": batch.padded_tokens,
            },
            links=[Link(link)],
            start_time=batch.began,
        )
        end = finalize(batch, span.end, batch.ended)
        end.atexit = False
        self._open[batch] = span, end
        return span

    def close(self) -> None:
        """Ends the spans that are still open: some of their records have not ended."""
        for _, end in list(self._open.values()):
            end()


class LinkedSampler(Sampler):
    """Samples a root span with links if one of the linked spans is sampled.

    So every sampled record has the spans of its micro-batches. The configured sampler decides about
    all other spans.
    """

    def __init__(self, configured: Sampler) -> None:
        self._configured = configured

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if not parent_context and links:
            sampled = any(link.context.trace_flags.sampled for link in links)
            return SamplingResult(
                Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP, attributes
            )
        return self._configured.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"LinkedSampler{{{self._configured.get_description()}}}"


def _texts(headers: Sequence[Header]) -> dict[str, str]:
    return {name.lower(): text.decode("utf-8", "replace") for name, text in headers if text}
