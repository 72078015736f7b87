"""An OTLP collector in the test's own process: what a worker exports, as it arrives."""

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
    """`endpoint` is for `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}

    async def receive(self, request: web.Request) -> web.Response:
        assert request.content_type == _PROTOBUF
        exported = ExportTraceServiceRequest.FromString(await request.read())
        for of_resource in exported.resource_spans:
            self.resource = {
                attribute.key: attribute.value.string_value
                for attribute in of_resource.resource.attributes
            }
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type=_PROTOBUF
        )

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def children(self, span: Span) -> list[Span]:
        """Those of the same trace that have it as their parent, by their beginning."""
        found = [
            each
            for each in self.spans
            if (each.trace_id, each.parent_span_id) == (span.trace_id, span.span_id)
        ]
        return sorted(found, key=lambda each: each.start_time_unix_nano)


def attributes(span: Span) -> dict[str, str | int]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
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
