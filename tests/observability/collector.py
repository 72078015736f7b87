"""An OTLP collector in the test's process. It keeps the spans and metrics that a worker exports."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.http_serving import serve

_PROTOBUF = "application/x-protobuf"


class Collector:
    """What was received. `endpoint` is the value for `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}
        self.metric_exports: list[dict[str, Metric]] = []
        """The metrics of each export by their names; the values add up from one to the next."""
        self.metric_resource: dict[str, str] = {}
        self.schema_urls: set[str] = set()

    async def receive_traces(self, request: web.Request) -> web.Response:
        assert request.content_type == _PROTOBUF
        exported = ExportTraceServiceRequest.FromString(await request.read())
        for resource_spans in exported.resource_spans:
            self.resource = _texts(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                self.schema_urls.add(scope_spans.schema_url)
                self.spans += scope_spans.spans
        return _protobuf(ExportTraceServiceResponse().SerializeToString())

    async def receive_metrics(self, request: web.Request) -> web.Response:
        assert request.content_type == _PROTOBUF
        exported = ExportMetricsServiceRequest.FromString(await request.read())
        metrics: dict[str, Metric] = {}
        for resource_metrics in exported.resource_metrics:
            self.metric_resource = _texts(resource_metrics.resource.attributes)
            for scope_metrics in resource_metrics.scope_metrics:
                self.schema_urls.add(scope_metrics.schema_url)
                metrics |= {metric.name: metric for metric in scope_metrics.metrics}
        self.metric_exports.append(metrics)
        return _protobuf(ExportMetricsServiceResponse().SerializeToString())

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def of_type(self, operation_type: str) -> list[Span]:
        """The spans with this `messaging.operation.type`, in the order of their starts."""
        spans = [
            span
            for span in self.spans
            if attributes(span).get("messaging.operation.type") == operation_type
        ]
        return sorted(spans, key=lambda span: span.start_time_unix_nano)

    def children(self, span: Span) -> list[Span]:
        """Returns the child spans, in the order of their starts."""
        children = [
            other
            for other in self.spans
            if (other.trace_id, other.parent_span_id) == (span.trace_id, span.span_id)
        ]
        return sorted(children, key=lambda child: child.start_time_unix_nano)


def attributes(span: Span) -> dict[str, str | int]:
    """Returns the attributes of a span by name."""
    return values(span.attributes)


def values(pairs: Iterable[KeyValue]) -> dict[str, str | int]:
    """Returns the attributes of a span, a link or a measurement by name."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


def _texts(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


def _protobuf(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=_PROTOBUF)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Runs a collector on a free port."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.receive_traces)
    app.router.add_post("/v1/metrics", collector.receive_metrics)
    async with serve(app) as collector.endpoint:
        yield collector
