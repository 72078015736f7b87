"""An environment that has nothing but the installed wheel: no source tree, no development."""

import os
import subprocess
import sys
import venv
from pathlib import Path


class BareEnvironment:
    """A new virtual environment with one wheel and its dependencies."""

    def __init__(self, directory: Path) -> None:
        """Creates the environment below `directory`, and an empty working directory beside it."""
        self.directory = directory / "venv"
        self._bin = self.directory / "bin"
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        venv.create(self.directory, with_pip=False, symlinks=True)

    def install(self, wheel: Path, constraints: Path, *, download: bool = True) -> None:
        """Installs the wheel with our own pip, at the tested versions of its dependencies.

        Without `download` pip accepts only dependencies that the environment already has. Raises
        `CalledProcessError` with pip's output.
        """
        pip = [sys.executable, "-m", "pip", "--python", str(self._bin / "python")]
        options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
        options += [] if download else ["--no-index"]
        subprocess.run(
            [*pip, "install", *options, "-c", constraints, wheel],
            cwd=self.home,
            capture_output=True,
            text=True,
            check=True,
        )

    def start(self, *command: str, program: str = "qa-worker") -> subprocess.Popen[str]:
        """Starts a program of the environment, with pipes, without this process's settings and
        import path.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("QA_", "KAFKA_", "PYTHON", "VIRTUAL_ENV", "COV_"))
        }
        return subprocess.Popen(
            [self._bin / program, *command],
            env=kept,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str, program: str = "qa-worker") -> subprocess.CompletedProcess[str]:
        """Runs a program as `start` does, to its end."""
        with self.start(*command, program=program) as process:
            stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
