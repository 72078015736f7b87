"""Opens the listeners that export OpenTelemetry's signals, with one resource for all."""

import uuid

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from worker.observability.messaging import MessagingAttributes, MessagingClient
from worker.observability.messaging_metrics import MessagingMetrics
from worker.observability.otlp import Signals
from worker.observability.tracing import Tracing


def open_exports(
    exported: Signals, client: MessagingClient, version: str
) -> dict[str, Tracing | MessagingMetrics]:
    """The listeners by their signal, `traces` or `metrics`. The caller closes them.

    `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence over the worker's own
    attributes.
    """
    own = {
        "service.name": "qa-worker",
        "service.version": version,
        # A collector would add up or overwrite the metrics of workers that it cannot tell apart.
        "service.instance.id": str(uuid.uuid4()),
    }
    resource = Resource(own).merge(OTELResourceDetector().detect())
    attributes = MessagingAttributes(client)
    exports: dict[str, Tracing | MessagingMetrics] = {}
    if exported.traces:
        exports["traces"] = Tracing(attributes, resource, version)
    if exported.metrics:
        exports["metrics"] = MessagingMetrics(attributes, resource, version)
    return exports
