"""Builds Java programs of the clients' tests with Maven, which fetches what they depend on, and
runs them.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.tools import tool

TIMEOUT_SECONDS = 240

SHORT_LIVED = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Options of a JVM that runs for seconds: it does not optimize what it would never earn back."""


def build(project: Path, directory: Path, *, protos: Iterable[Path] = ()) -> str:
    """The class path of a copy of `project` that is compiled in `directory`. `protos` are Protobuf
    files that its build compiles as well.
    """
    copy = directory / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("target"))
    for proto in protos:
        shutil.copy(proto, copy / "src" / "main" / "proto")
    maven = subprocess.run(
        [tool("mvn"), "-q", "-B", "-f", str(copy), "compile"],
        env={**os.environ, "MAVEN_OPTS": " ".join(SHORT_LIVED)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert maven.returncode == 0, maven.stdout
    target = copy / "target"
    return os.pathsep.join([str(target / "classes"), str(target / "dependency" / "*")])


def java(class_path: str, *arguments: str) -> list[str]:
    """The command line of a program that `build` has compiled; `arguments` begin with its class."""
    return [tool("java"), *SHORT_LIVED, "-cp", class_path, *arguments]
