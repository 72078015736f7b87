"""`qa-worker --version`, and completion of commands by the shell."""

import os
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.cli.conftest import Command
from tests.forked import run_forked

WORKER = [sys.executable, "-m", "worker"]


def test_version(command: Command) -> None:
    done = command("--version")
    assert (done.code, done.out, done.err) == (0, f"qa-worker {version('qa-worker')}\n", "")


def test_help_documents_completion(command: Command) -> None:
    done = command("--help")
    assert "--install-completion" in done.out
    assert "--show-completion" in done.out


@pytest.mark.process
def test_show_completion_prints_a_bash_script() -> None:
    # The shell is detected from the parent process. `;` keeps bash from replacing itself.
    script = f"{shlex.join([*WORKER, '--show-completion', 'bash'])}; exit $?"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "complete -o default -F _qa_worker_completion qa-worker" in done.stdout
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True).returncode == 0


@pytest.mark.process
def test_bash_completes_a_command() -> None:
    asked = {
        "_QA_WORKER_COMPLETE": "complete_bash",
        "COMP_WORDS": "qa-worker dead-letters re",
        "COMP_CWORD": "2",
    }
    done = run_forked(environment={**os.environ, **asked})
    assert (done.code, done.out.split()) == (0, ["replay"])
