"""Metrics of OpenTelemetry's semantic conventions for messaging, exported by OTLP over HTTP.

They describe the work of the Kafka clients in OpenTelemetry's terms, for whom Prometheus' `qa_...`
metrics (`metrics.py`) are not at hand. A thread of the SDK exports them.
"""

from collections import Counter

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from worker.observability import messaging
from worker.observability.client_operations import Poll, Send
from worker.observability.messaging import Attributes, MessagingAttributes
from worker.observability.otlp import SCHEMA_URL
from worker.observability.record_trace import Commit, RecordTrace, TraceListener

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The boundaries of the histograms' buckets that the conventions name."""


class MessagingMetrics(TraceListener):
    """A listener that exports metrics. Call `close` at the end."""

    def __init__(self, attributes: MessagingAttributes, resource: Resource, version: str) -> None:
        """Does not validate the environment: call `otlp.signals` first."""
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        self._provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("qa-worker", version, SCHEMA_URL)
        self._attributes = attributes
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            "{message}",
            "Number of messages that were delivered to the application.",
        )
        self._sent = meter.create_counter(
            "messaging.client.sent.messages",
            "{message}",
            "Number of messages producer attempted to send to the broker.",
        )
        self._operations = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Duration of messaging operation initiated by a producer or consumer client.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._processes = meter.create_histogram(
            "messaging.process.duration",
            "s",
            "Duration of processing operation.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )

    def close(self) -> None:
        """Export the last values. May block for long."""
        self._provider.shutdown()

    def on_connect(self, cluster_id: str) -> None:
        self._attributes.cluster_id = cluster_id

    def on_poll(self, poll: Poll) -> None:
        own = self._attributes.metric("poll", consumer=True) | messaging.error(poll.error_type)
        destinations = Counter((each.topic, each.partition) for each in poll.records)
        of_messages = {destination: self._destination(*destination) for destination in destinations}
        for destination, count in destinations.items():
            self._consumed.add(count, own | of_messages[destination])
        if of_messages:
            own |= messaging.shared(list(of_messages.values()))
        self._observe("receive", poll.began, poll.ended, own)

    def on_commit(self, commit: Commit) -> None:
        own = self._attributes.metric("commit", consumer=True) | messaging.error(commit.error_type)
        own |= messaging.shared([self._destination(*each) for each in commit.partitions])
        self._observe("settle", commit.began, commit.ended, own)

    def on_end(self, trace: RecordTrace) -> None:
        for send in trace.sends:
            self._count(send)
        self._processes.record(
            max(0, trace.ended - trace.received) / 1e9,
            self._attributes.metric("process", consumer=True)
            | self._destination(trace.topic, trace.partition)
            | messaging.error(trace.failure),
        )

    def _count(self, send: Send) -> None:
        own = self._attributes.metric("send", consumer=False)
        own |= self._destination(send.topic, send.partition) | messaging.error(send.error_type)
        self._sent.add(1, own)
        self._observe("send", send.began, send.ended, own)

    def _observe(self, kind: str, began: int, ended: int, attributes: Attributes) -> None:
        own = attributes | {"messaging.operation.type": kind}
        self._operations.record(max(0, ended - began) / 1e9, own)

    def _destination(self, topic: str, partition: int | None) -> Attributes:
        """Without the partition of a topic that a question named: there may be any number."""
        attributes = self._attributes.low_cardinality_destination(topic)
        if "messaging.destination.name" in attributes:
            attributes |= messaging.position(partition, None)
        return attributes
