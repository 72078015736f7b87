"""Forked programs behave as those that `python -m` starts."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import Forked, run_forked

pytestmark = pytest.mark.process

_PARENT = """
import sys, time
from tests.forked import Forked
with open(sys.argv[1], "wb") as log:
    child = Forked("http.server", "0", environment={}, output=log, errors=log)
print(child.pid, flush=True)
time.sleep(600)
"""

_SETTINGS = """
from tests.forked import run_forked
print(run_forked("settings", environment={"QA_THREADS": "7", "COLUMNS": "200"}).out)
"""


def test_output_errors_and_exit_code_are_the_programs() -> None:
    done = run_forked("--version", environment={})
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("qa-worker ")
    done = run_forked("--unknown", environment={})
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("qa-worker: ")


def test_environment_is_the_given_one_alone() -> None:
    program = [sys.executable, "-c", _SETTINGS]
    started_with = {**os.environ, "QA_MODEL": "of-the-tests"}
    shown = subprocess.run(program, env=started_with, capture_output=True, text=True, check=True)
    assert "QA_THREADS" in shown.stdout
    assert " 7 " in shown.stdout
    assert "of-the-tests" not in shown.stdout


def test_a_killed_program_has_the_signals_code(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        sleeping = Forked(
            "http.server", "0", "--bind=127.0.0.1", environment={}, output=log, errors=log
        )
    assert sleeping.poll() is None
    sleeping.kill()
    assert sleeping.wait() == sleeping.returncode == -signal.SIGKILL
    sleeping.kill()


def test_a_program_ends_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, tmp_path / "log"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    try:
        assert select.select([child], [], [], 0)[0] == []
        parent.kill()
        parent.wait()
        assert select.select([child], [], [], 60)[0] == [child]
    finally:
        parent.stdout.close()
        os.close(child)
