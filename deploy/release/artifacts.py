"""Builds wheel and sdist, and writes the checksums of what is released."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

SUMS = "SHA256SUMS"


def build_packages(root: Path, to: Path, epoch: int) -> None:
    """Builds the sdist from the tree, and the wheel from the sdist, with the installed hatchling.

    `epoch` is the time that all files in them have, in seconds since 1970 (`SOURCE_DATE_EPOCH`), so
    that the same tree gives the same bytes. Raises `CalledProcessError` with the build's output.
    """
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(to), str(root)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )


def write_sums(directory: Path) -> None:
    """Writes SHA256SUMS of all other files, in the form that `sha256sum --check` reads."""
    files = sorted(path for path in directory.iterdir() if path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (directory / SUMS).write_text("".join(lines), "utf-8")
