"""QA_TRACING without the extra, and with exports that OpenTelemetry's variables turn off."""

import subprocess
import sys

import pytest

from tests.forked import run_forked
from worker.cli.tracing import check_tracing
from worker.settings import SettingsError
from worker.settings.environment import load

ON = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "QA_TRACING": "true"}

_LISTENERS = """
import sys
from worker.cli.tracing import tracing
from worker.settings.environment import load
with tracing(load()) as listeners:
    print(listeners, [name for name in sys.modules if "opentelemetry" in name])
"""


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter"])
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.startswith(missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match=r"pip install .qa-worker\[tracing\]"):
        check_tracing(load(ON), {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector"),
    ],
)
def test_unusable_exporter_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is {value!r}: "):
        check_tracing(load(ON), {name: value})


@pytest.mark.process
@pytest.mark.parametrize(
    "off",
    [
        {"QA_TRACING": "false"},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
    ],
)
def test_nothing_is_imported_where_nothing_is_exported(off: dict[str, str]) -> None:
    """The streaming layer then creates no trace."""
    ended = subprocess.run(
        [sys.executable, "-c", _LISTENERS],
        env={**ON, **off},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "[] []\n"


@pytest.mark.process
def test_unusable_exporter_setting_is_reported_in_one_line() -> None:
    name, value = "OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"
    done = run_forked("run", environment={**ON, name: value})
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith(f"qa-worker: {name} is {value!r}: ")
