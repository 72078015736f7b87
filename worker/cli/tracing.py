"""Sets up the export of traces and metrics (OpenTelemetry) for `run`, and checks its settings."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from schemas.envelope import CORRELATION
from worker import __version__
from worker.observability.messaging import MessagingClient
from worker.observability.otlp import Signals, TracingError, close_providers, signals
from worker.observability.record_trace import TraceListener
from worker.settings import Settings, SettingsError
from worker.settings.replies import ANY


def check_tracing(settings: Settings, environment: Mapping[str, str]) -> Signals:
    """What is exported: nothing if `QA_TRACING` is off.

    Raises `SettingsError` if `QA_TRACING` is on and nothing can be exported.
    """
    if not settings.qa.tracing:
        return Signals(traces=False, metrics=False)
    try:
        exported = signals(environment)
    except TracingError as error:
        raise SettingsError(str(error)) from None
    if (exported.traces or exported.metrics) and not _has_extra():
        raise SettingsError('QA_TRACING needs the extra: pip install "qa-worker[tracing]"')
    return exported


def _has_extra() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # of one of its parents
        return False


@contextmanager
def tracing(settings: Settings) -> Iterator[list[TraceListener]]:
    """Yields the listeners that export traces and metrics, or an empty list if `QA_TRACING` is off.
    On exit the spans that are left and the last metrics are exported.

    Raises `SettingsError`.
    """
    exported = check_tracing(settings, os.environ)
    if not (exported.traces or exported.metrics):
        yield []
        return
    # Imported only here: a worker without traces does not need the extra.
    from worker.observability.export import open_exports

    exports = open_exports(exported, _client(settings), __version__)
    try:
        yield list(exports.values())
    finally:
        close_providers({signal: each.close for signal, each in exports.items()})


def _client(settings: Settings) -> MessagingClient:
    qa, kafka = settings.qa, settings.kafka
    first, _, _ = (kafka.bootstrap_servers or "").partition(",")
    host, _, port = first.rpartition(":")
    return MessagingClient(
        group=kafka.group_id,
        client_id=kafka.client_id,
        server_address=host.strip("[]"),
        server_port=int(port or 0),
        topics=frozenset((*qa.topics, *qa.named_reply_topics)),
        reply_prefixes=[each.removesuffix(ANY) for each in qa.reply_topics if each.endswith(ANY)],
        correlation_headers=CORRELATION,
    )
