"""What OpenTelemetry's variables make the worker export."""

import threading
import time

import pytest

from worker.observability import otlp
from worker.observability.otlp import Signals, TracingError, close_providers, signals


@pytest.mark.parametrize(
    ("environment", "traces", "metrics"),
    [
        ({}, True, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({"OTEL_METRICS_EXPORTER": "none"}, True, False),
        ({"OTEL_METRICS_EXPORTER": "", "OTEL_TRACES_EXPORTER": "otlp"}, True, True),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False, False),
        ({"OTEL_SDK_DISABLED": "false"}, True, True),
        # What is not exported is not checked.
        (
            {"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
            True,
            False,
        ),
    ],
)
def test_variables_choose_the_signals(
    environment: dict[str, str], traces: bool, metrics: bool
) -> None:
    assert signals(environment) == Signals(traces, metrics)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector:4318"),
    ],
)
def test_unusable_value_is_named(name: str, value: str) -> None:
    with pytest.raises(TracingError, match=f"^{name} is '{value}': "):
        signals({name: value})


def test_last_exports_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "FLUSH_SECONDS", 0.2)
    unreachable = threading.Event()
    flushed = threading.Event()
    began = time.monotonic()
    close_providers({"traces": unreachable.wait, "metrics": flushed.set})
    assert flushed.is_set()
    assert 0.2 <= time.monotonic() - began < 2
    unreachable.set()
