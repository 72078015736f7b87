"""Export by OTLP over HTTP: which signals OpenTelemetry's variables ask for, and their last export.

Imports nothing of OpenTelemetry, so that its variables can be checked without the extra.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

import structlog

FLUSH_SECONDS = 2.0
"""Time to export the remaining spans and the last metrics. Less than
QA_TERMINATION_GRACE_PERIOD_SECONDS leaves after QA_SHUTDOWN_SECONDS, with their defaults."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""Of the semantic conventions that names and attributes follow."""

_PROTOCOL = "http/protobuf"
_EXPORTERS = ("otlp", "none")

log = structlog.get_logger(__name__)


class TracingError(Exception):
    """An `OTEL_...` variable has an unusable value; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What is exported."""

    traces: bool
    metrics: bool


def signals(environment: Mapping[str, str]) -> Signals:
    """What `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` ask for.

    Raises `TracingError` for values that would make every export fail.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Signals(traces=False, metrics=False)
    return Signals(_exported("TRACES", environment), _exported("METRICS", environment))


def _exported(signal: str, environment: Mapping[str, str]) -> bool:
    name = f"OTEL_{signal}_EXPORTER"
    exporter = environment.get(name) or "otlp"
    if exporter not in _EXPORTERS:
        raise TracingError(f"{name} is {exporter!r}: give otlp or none")
    if exporter == "none":
        return False
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if (protocol := environment.get(name) or _PROTOCOL) != _PROTOCOL:
            exported = signal.lower()
            raise TracingError(f"{name} is {protocol!r}: {exported} are exported by {_PROTOCOL}")
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        url = environment.get(name)
        if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise TracingError(
                f"{name} is {url!r}: give a URL, such as http://collector:4318 for OTLP over HTTP"
            )
    return True


def close_providers(closings: Mapping[str, Callable[[], object]]) -> None:
    """Runs the functions side by side; each exports what is left of the signal that is its key.

    Blocks for `FLUSH_SECONDS` at most: with an unreachable collector, an exporter ignores its
    timeout and retries for longer.
    """
    threads = {
        signal: threading.Thread(target=closing, name=f"qa-{signal}", daemon=True)
        for signal, closing in closings.items()
    }
    for thread in threads.values():
        thread.start()
    until = monotonic() + FLUSH_SECONDS
    for signal, thread in threads.items():
        thread.join(max(0.0, until - monotonic()))
        if not thread.is_alive():
            continue
        if signal == "traces":
            log.warning("trace_export_failed", seconds=FLUSH_SECONDS)
        else:
            log.warning("metric_export_failed", seconds=FLUSH_SECONDS)
