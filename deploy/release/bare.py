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

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `qa-worker` without the settings and the import path of this process."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("QA_", "KAFKA_", "PYTHON", "VIRTUAL_ENV", "COV_"))
        }
        return subprocess.run(
            [self._bin / "qa-worker", *arguments],
            env={**kept, **environment},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
