"""An OTLP collector in the test's process. It keeps the spans that a worker exports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_PROTOBUF = "application/x-protobuf"


class Collector:
    """The received spans. `endpoint` is the value for `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}

    async def receive(self, request: web.Request) -> web.Response:
        assert request.content_type == _PROTOBUF
        exported = ExportTraceServiceRequest.FromString(await request.read())
        for resource_spans in exported.resource_spans:
            self.resource = {
                attribute.key: attribute.value.string_value
                for attribute in resource_spans.resource.attributes
            }
            for scope_spans in resource_spans.scope_spans:
                self.spans += scope_spans.spans
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type=_PROTOBUF
        )

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

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
    return {
        attribute.key: getattr(attribute.value, str(attribute.value.WhichOneof("value")))
        for attribute in span.attributes
    }


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Runs a collector on a free port."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    collector.endpoint = f"http://{host}:{port}"
    try:
        yield collector
    finally:
        await runner.cleanup()
