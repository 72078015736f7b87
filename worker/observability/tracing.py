"""OpenTelemetry traces of records and of micro-batches, exported by OTLP over HTTP.

A record has a span from its poll to its commit, child of the producer's `traceparent`, with a child
for each step; its answer carries that span's context. A micro-batch works for several records, so
it has a trace of its own, linked to and from them. What is exported, to where and how much of it is
said by OpenTelemetry's own `OTEL_...` variables.

Spans are made when a record is committed, from the times that its journey noted: on the way there
is only the record's own, whose context travels. Names and attributes are those of OpenTelemetry's
conventions for messaging (semantic conventions 1.37), where there are any.
"""

import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, TraceState, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from worker.observability.record_trace import ANSWERED, BatchTiming, Header, RecordTrace

FLUSH_SECONDS = 2.0
"""For what is left at the end. Less than what the pod's grace leaves of the shutdown's time."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"

log = structlog.get_logger(__name__)

_W3C = TraceContextTextMapPropagator()


class TracingError(Exception):
    """An `OTEL_...` variable cannot work: one line that names it and says what to change."""


def check(environment: Mapping[str, str]) -> None:
    """Raises `TracingError`: what is wrong would otherwise be said with every export."""
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
    """Follows journeys; `close` at the end."""

    def __init__(
        self, *, version: str, group: str, answers_topic: str, dead_letters_topic: str
    ) -> None:
        """Where the environment cannot work (see `check`), every export will say so."""
        own = Resource({"service.name": "qa-worker", "service.version": version})
        self._provider = TracerProvider(
            resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.sampler = LinkedSampler(self._provider.sampler)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("qa-worker", version)
        self._group = group
        self._answers_topic = answers_topic
        self._dead_letters_topic = dead_letters_topic

    def close(self) -> None:
        """Export what is left, for `FLUSH_SECONDS` at most. Blocks."""
        # With its collector away the exporter goes on trying, whatever time it is given.
        closing = threading.Thread(target=self._provider.shutdown, name="qa-traces", daemon=True)
        closing.start()
        closing.join(FLUSH_SECONDS)
        if closing.is_alive():
            log.warning("trace_export_failed", seconds=FLUSH_SECONDS)

    # What a journey tells, on the event loop.

    def began(self, journey: RecordTrace) -> None:
        parent = _W3C.extract(_texts(journey.headers), Context())
        journey.span = span = self._tracer.start_span(
            f"process {journey.topic}",
            parent,
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.name": journey.topic,
                "messaging.destination.partition.id": str(journey.partition),
                "messaging.kafka.offset": journey.offset,
                "messaging.consumer.group.name": self._group,
            },
            start_time=journey.taken,
        )
        carried: dict[str, str] = {}
        _W3C.inject(carried, set_span_in_context(span, Context()))
        journey.context = [(name, text.encode()) for name, text in carried.items()]

    def ended(self, journey: RecordTrace) -> None:
        span: Span = journey.span
        if span.is_recording():
            within = set_span_in_context(span, Context())
            answered = journey.outcome == ANSWERED
            to = self._answers_topic if answered else self._dead_letters_topic
            for step in journey.steps:
                name, kind = step.name, SpanKind.INTERNAL
                if name == "publish":
                    name, kind = f"send {to}", SpanKind.PRODUCER
                child = self._tracer.start_span(name, within, kind, start_time=step.began)
                child.end(step.ended)
            for run in journey.runs:
                self._tracer.start_span(
                    "run",
                    within,
                    links=[Link(self._batch(run).get_span_context())],
                    start_time=run.began,
                ).end(run.ended)
            span.set_attributes({"messaging.message.id": journey.id, "qa.outcome": journey.outcome})
            if not answered:
                span.set_status(StatusCode.ERROR, journey.outcome)
        span.end(journey.ended)

    def _batch(self, run: BatchTiming) -> Span:
        """The micro-batch's own, made by the first of its records that ends."""
        if run.span is None:
            run.span = self._tracer.start_span(
                "micro-batch",
                Context(),
                attributes={
                    "qa.batch.windows": run.windows,
                    "qa.batch.padded_tokens": run.padded_tokens,
                },
                links=[Link(journey.span.get_span_context()) for journey in run.journeys],
                start_time=run.began,
            )
            run.span.end(run.ended)
        return run.span  # type: ignore[no-any-return]


class LinkedSampler(Sampler):
    """A trace that begins with links is sampled where one of those is: a record that is looked at
    finds its micro-batch. All others as configured.
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
        return f"WithItsRecords{{{self._configured.get_description()}}}"


def _texts(headers: Sequence[Header]) -> dict[str, str]:
    return {name.lower(): text.decode("utf-8", "replace") for name, text in headers if text}
