"""onnxruntime's telemetry is off unless ORT_DISABLE_TELEMETRY=0 turns it on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

START = (
    "import worker.inference.onnx_session; from onnxruntime.quantization import quantize_dynamic"
)


def left_in(home: Path, code: str, **variables: str) -> list[str]:
    """The files that a process left in its user's home."""
    # CI=... turns it off as well.
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = {**inherited, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_the_worker_leaves_no_device_id(tmp_path: Path) -> None:
    assert left_in(tmp_path, START) == []


@pytest.mark.parametrize(
    ("code", "variables"),
    [("import onnxruntime", {}), (START, {"ORT_DISABLE_TELEMETRY": "0"})],
    ids=["onnxruntime alone", "asked for"],
)
def test_it_would_be_noticed(tmp_path: Path, code: str, variables: dict[str, str]) -> None:
    assert "deviceid" in left_in(tmp_path, code, **variables)
