"""Apache Kafka's jars: listed in a lock file with their SHA-256 sums, kept in the user's cache.

Responsible for a class path on which every jar has the sum that its lock file names. A jar that is
missing or altered is downloaded from Maven Central, once; then no network is needed. Not
responsible for Java (`java_runtime.py`), nor for running what is in the jars (`kafka_node.py`).
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

# 45 jars, 45 MB: with 8 connections 4 s on a fast line, where one connection takes 13 s.
_CONNECTIONS = 8

# The longest silence of the server, not the longest download.
_TIMEOUT_SECONDS = 30

_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+):([\w.-]+):([\w.-]+)")


class BrokerUnavailable(RuntimeError):  # noqa: N818 - the established name for this in clients
    """A broker cannot be started or reached; the message says why and what to change."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact of a Maven repository, packaged as a jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True)
class KafkaDistribution:
    """One version of Apache Kafka: the jar of its broker and the jars that this one needs."""

    version: str
    jars: tuple[Jar, ...]

    @classmethod
    def read(cls, lock_file: Path) -> Self:
        """The version is that of the artifact `kafka_2.13`. Raises `BrokerUnavailable`."""
        jars = parse_lock(lock_file.read_text("utf-8"), lock_file.name)
        versions = [jar.version for jar in jars if jar.artifact == "kafka_2.13"]
        if len(versions) != 1:
            raise BrokerUnavailable(f"{lock_file.name} must list the artifact kafka_2.13 once")
        return cls(versions[0], jars)

    def class_path(self) -> str:
        """The verified jars, in the order of the lock file, downloaded first where need be.

        Shows one line of progress on stderr while it downloads, if that is a terminal. Raises
        `BrokerUnavailable` where a jar cannot be downloaded or has another sum.
        """
        cache = cache_directory()
        with _locked(cache):  # a second process waits here, then finds the jars
            missing = [jar for jar in self.jars if not _has_sum(cache / jar.file_name, jar.sha256)]
            if missing:
                self._download(missing, cache)
        return os.pathsep.join(str(cache / jar.file_name) for jar in self.jars)

    def _download(self, missing: Sequence[Jar], cache: Path) -> None:
        console = Console(stderr=True, emoji=False, markup=False, highlight=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        )
        description = f"downloading Apache Kafka {self.version} (once)"
        with (
            _scratch(cache) as scratch,
            Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        ):
            for _ in progress.track(
                _each_downloaded(missing, scratch, cache), len(missing), description=description
            ):
                pass


def parse_lock(text: str, name: str) -> tuple[Jar, ...]:
    """The jars of a lock file: `<sha256>  <group>:<artifact>:<version>` on each line.

    Empty lines and lines that start with `#` are skipped. `name` is for the error. Raises
    `BrokerUnavailable` for any other line.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            expected = "<sha256>  <group>:<artifact>:<version>"
            raise BrokerUnavailable(f"{name}, line {number}: expected {expected!r}, got {line!r}")
        sha256, group, artifact, version = match.groups()
        jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def cache_directory() -> Path:
    """Where the jars of all versions lie side by side."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "qa-worker" / "kafka"


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / ".lock").open("w")
    except OSError as error:
        change = "set XDG_CACHE_HOME to a directory that this user can write to"
        raise BrokerUnavailable(f"cannot write to the cache: {error}; {change}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, by SIGKILL too
        yield


@contextlib.contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """For downloads under way. The lock is held: what lies there was left by a killed process."""
    scratch = cache / ".downloading"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _has_sum(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _each_downloaded(jars: Sequence[Jar], scratch: Path, cache: Path) -> Iterator[Jar]:
    """Yields each jar once it stands in the cache, verified, under its final name."""
    try:
        # Here, for these imports take 0.3 s, and a start from the cache needs none of them. Not
        # `jgo.build`: to sort jars into modules it downloads a JDK 11.
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError as error:
        change = 'pip install "qa-worker[demo]"'
        raise BrokerUnavailable(f"jgo, which downloads the jars, is missing: {change}") from error
    # A mirror: `central = https://...` under `[repositories]` in ~/.config/jgo.conf.
    repositories = {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories
    maven = MavenContext(repo_cache=scratch, remote_repos=repositories, timeout=_TIMEOUT_SECONDS)

    def download(jar: Jar) -> Jar:
        try:
            downloaded = maven.create_dependency(jar.coordinate).artifact.resolve()
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            change = "check the connection to Maven Central (HTTPS_PROXY, REQUESTS_CA_BUNDLE)"
            reason = f"cannot download {jar.coordinate}: {_short(error)}; {change}"
            raise BrokerUnavailable(reason) from error
        if not _has_sum(downloaded, jar.sha256):
            difference = "the download does not have the SHA-256 sum of the lock file"
            change = "try again; if it stays so, a proxy alters downloads"
            raise BrokerUnavailable(f"{jar.coordinate}: {difference}; {change}")
        downloaded.replace(cache / jar.file_name)  # atomic: both are on one file system
        return jar

    pool = ThreadPoolExecutor(_CONNECTIONS)
    try:
        for downloaded in as_completed([pool.submit(download, jar) for jar in jars]):
            yield downloaded.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _short(error: BaseException) -> str:
    """The innermost reason: requests wraps what the socket said into three layers of text."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return " ".join(str(error).split()) or type(error).__name__
