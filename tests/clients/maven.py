"""Builds the Java programs of the clients' tests with Maven, which fetches what they depend on, and
runs them.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from schemas.generate.files import PUBLISHED
from tests.tools import tool

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
PROJECTS = {
    "java": EXAMPLES / "java",
    "java-registry": EXAMPLES / "java-registry",
    "spring": EXAMPLES / "spring",
    "protobuf": Path(__file__).with_name("java"),
}
"""All that has a pom.xml, by the names of their copies."""
TIMEOUT_SECONDS = 240

SHORT_LIVED = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Options of a JVM that runs for seconds: it does not optimize what it would never earn back."""

_TOGETHER = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>qa.worker.tests</groupId>
  <artifactId>together</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <modules>{}</modules>
</project>
"""


def build_once(directory: Path) -> None:
    """Compiles copies of all `PROJECTS` in `directory`, unless another process has done so.

    One run of Maven takes a third of the processor time of four, and no project has a parent, so
    each is built as it is alone.
    """
    built = directory / "built"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes
        if not built.exists():
            _build(directory)
            built.touch()


def _build(directory: Path) -> None:
    for name, project in PROJECTS.items():
        copy = directory / name
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("target"), dirs_exist_ok=True)
    for proto in PUBLISHED.glob("*.proto"):
        shutil.copy(proto, directory / "protobuf" / "src" / "main" / "proto")
    modules = "".join(f"<module>{name}</module>" for name in PROJECTS)
    (directory / "pom.xml").write_text(_TOGETHER.format(modules))
    maven = subprocess.run(
        [tool("mvn"), "-q", "-B", "-f", str(directory), "compile"],
        env={**os.environ, "MAVEN_OPTS": " ".join(SHORT_LIVED)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert maven.returncode == 0, maven.stdout


def java(project: Path, *arguments: str) -> list[str]:
    """The command line of a program of a built project; `arguments` begin with its class."""
    target = project / "target"
    class_path = os.pathsep.join([str(target / "classes"), str(target / "dependency" / "*")])
    return [tool("java"), *SHORT_LIVED, "-cp", class_path, *arguments]
