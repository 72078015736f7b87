"""Apache Kafka's jars, copied once from Maven into the user's cache.

Knows the layout of that cache and how processes share it: what stands there under its final name
is whole. Running what is in the jars is left to node.py.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from worker.kafka.dev_broker import BrokerUnavailable

VERSION = "4.1.1"
JAVA_MIN = 17  # what Kafka 4 asks of a broker's JVM

# 46 jars, 43 MB, took 4 s on a fast line; ten minutes is 72 KB/s.
_COPY_SECONDS = 600


def why_no_apache_kafka() -> str | None:
    """None where Apache Kafka can be run, else the reason in a few words."""
    java = shutil.which("java")
    if java is None:
        return "no java on the PATH"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA_MIN:
        return f"java is not {JAVA_MIN} or newer"
    if not _cached("jars").exists() and shutil.which("mvn") is None:
        return "no mvn on the PATH to copy the jars with"
    return None


def class_path() -> str:
    """The jars, copied first, with a line that says so, where they are not in the cache."""
    jars = _cached("jars")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with _cached("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits here, then finds them
        if not jars.exists():
            print(f"copying Apache Kafka {VERSION} from Maven (43 MB, once) to {jars}", flush=True)
            _copy(jars)
    # Always in one order: a class archive is good only for the very path that it was made of.
    return os.pathsep.join(sorted(map(str, jars.glob("*.jar"))))


def class_archive() -> Path:
    """Where the JVM's archive of loaded classes belongs; whoever misses it may make it."""
    return _cached("classes.jsa")


def _cached(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "qa-worker" / f"kafka-{VERSION}" / name


def _copy(jars: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="copying-", dir=jars.parent) as scratch:
        copied = Path(scratch, "jars")
        command = ["mvn", "-q", "-B", "-f", str(Path(__file__).with_name("pom.xml"))]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={copied}"]
        maven = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COPY_SECONDS
        )
        if maven.returncode != 0:
            raise BrokerUnavailable(f"Maven could not copy Kafka's jars:\n{maven.stdout[-2000:]}")
        copied.rename(jars)
