"""What OpenTelemetry's SDK lacks for spans with links: shared spans, sampling, and chosen ids."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary, finalize

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, Tracer, TraceState
from opentelemetry.util.types import Attributes

from worker.observability.timings import BatchTiming


class SpanIds(RandomIdGenerator):
    """Random ids, but for a span whose id was propagated before the span is created.

    A message carries the context of the span that sends it, so this id is chosen when the message
    is encoded; the span is created with its times once the message is acknowledged.
    """

    next_span_id: int | None = None
    """Of the next span."""

    def generate_span_id(self) -> int:
        chosen, self.next_span_id = self.next_span_id, None
        return super().generate_span_id() if chosen is None else chosen


class BatchSpans:
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
