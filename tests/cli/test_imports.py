"""A command imports what it needs: imports are most of the time of its start."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

_LOADED = """
import sys
{code}
print(*{{".".join(name.split(".")[:depth]) for name in sys.modules for depth in (1, 2)}})
"""


def loaded(code: str) -> set[str]:
    """The packages, and the packages within packages, that `code` has imported."""
    program = [sys.executable, "-c", _LOADED.format(code=code)]
    return set(subprocess.run(program, capture_output=True, text=True, check=True).stdout.split())


def test_run_imports_no_other_command_and_nothing_that_is_off() -> None:
    packages = loaded("from worker.cli import run")
    assert {"worker.streaming", "worker.inference"} <= packages
    others = {"worker.answers", "worker.console", "worker.dead_letters", "worker.model_tools"}
    assert not packages & {*others, "opentelemetry"}


def test_version_imports_no_command() -> None:
    packages = loaded(
        "from worker.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"
    )
    assert "typer" in packages
    assert not packages & {"aiohttp", "aiokafka", "numpy", "onnxruntime", "pydantic"}
