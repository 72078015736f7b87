"""Downloads Apache Kafka's jars as a lock file lists them, and caches them for the user.

Responsible for a class path on which every jar has the SHA-256 sum of the lock file. A jar that is
missing or altered is downloaded from Maven Central; a complete cache needs no network. Not
responsible for Java (`java_runtime.py`), nor for running Kafka (`kafka_node.py`).
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

# Measured for 45 jars, 45 MB: 4 s with 8 connections, 13 s with one.
_CONNECTIONS = 8

# Timeout of a connect or a read, not of the whole download.
_TIMEOUT_SECONDS = 30

_REPOSITORY_VARIABLE = "MAVEN_REPOSITORY"
"""Environment variable with the address of a mirror."""
_MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"

_LOCK_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+):([\w.-]+):([\w.-]+)(?::([\w-]+):([\w.]+))?")


class BrokerUnavailable(RuntimeError):  # noqa: N818 - the established name for this in clients
    """A broker cannot be started or reached. The message has the reason and what to change."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact of a Maven repository, packaged as a jar unless `extension` says otherwise."""

    group: str
    artifact: str
    version: str
    sha256: str
    classifier: str = ""
    extension: str = "jar"

    @property
    def coordinate(self) -> str:
        """The Maven coordinate, `group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        classifier = self.classifier and f"-{self.classifier}"
        return f"{self.artifact}-{self.version}{classifier}.{self.extension}"

    @property
    def path(self) -> str:
        """The path in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


@dataclass(frozen=True, slots=True)
class KafkaDistribution:
    """One version of Apache Kafka: the jar of the broker and its dependencies."""

    version: str
    jars: tuple[Jar, ...]

    @classmethod
    def read(cls, lock_file: Path) -> Self:
        """Reads a lock file. The version is that of the artifact `kafka_2.13`.

        Raises `BrokerUnavailable` if a line is invalid, or `kafka_2.13` is not listed once.
        """
        jars = parse_lock(lock_file.read_text("utf-8"), lock_file.name)
        versions = [jar.version for jar in jars if jar.artifact == "kafka_2.13"]
        if len(versions) != 1:
            raise BrokerUnavailable(f"{lock_file.name} must list the artifact kafka_2.13 once")
        return cls(versions[0], jars)

    def class_path(self) -> str:
        """Returns the class path of the verified jars, in the order of the lock file.

        Downloads missing jars first, with one line of progress on stderr if that is a terminal.
        Raises `BrokerUnavailable` if a download fails or has another SHA-256 sum.
        """
        cache = cache_directory()
        with cache_lock(cache):  # a second process waits here, and then finds the jars
            download_missing(self.jars, cache, f"Apache Kafka {self.version}")
        return os.pathsep.join(str(cache / jar.file_name) for jar in self.jars)


def download_missing(jars: Sequence[Jar], cache: Path, name: str) -> None:
    """Downloads the jars that the cache lacks or has altered. The caller holds `cache_lock`.

    `name` stands in the line of progress. Raises `BrokerUnavailable`.
    """
    missing = [jar for jar in jars if not _has_sha256(cache / jar.file_name, jar)]
    if not missing:
        return
    console = Console(stderr=True, emoji=False, markup=False, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    with (
        _download_directory(cache) as directory,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        for _ in progress.track(
            _download_jars(missing, directory, cache),
            len(missing),
            description=f"downloading {name} (once)",
        ):
            pass


def parse_lock(text: str, name: str) -> tuple[Jar, ...]:
    """Returns the jars of a lock file: `<sha256>  <group>:<artifact>:<version>` on each line,
    with `:<classifier>:<extension>` for an artifact that is not a plain jar.

    Skips empty lines and lines that start with `#`. `name` is the file's name in an error. Raises
    `BrokerUnavailable` for any other line.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LOCK_LINE.fullmatch(line)
        if match is None:
            expected = "<sha256>  <group>:<artifact>:<version>"
            raise BrokerUnavailable(f"{name}, line {number}: expected {expected!r}, got {line!r}")
        sha256, group, artifact, version, classifier, extension = match.groups()
        jars.append(Jar(group, artifact, version, sha256, classifier or "", extension or "jar"))
    return tuple(jars)


def cache_directory() -> Path:
    """Returns the directory with the jars of all versions, below `XDG_CACHE_HOME`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "qa-worker" / "kafka"


@contextlib.contextmanager
def cache_lock(cache: Path) -> Iterator[None]:
    """Excludes other processes from the cache. Raises `BrokerUnavailable` if it is read-only."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / ".lock").open("w")
    except OSError as error:
        change = "set XDG_CACHE_HOME to a directory that this user can write to"
        raise BrokerUnavailable(f"cannot write to the cache: {error}; {change}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes, also after SIGKILL
        yield


@contextlib.contextmanager
def _download_directory(cache: Path) -> Iterator[Path]:
    """Yields an empty directory for unverified downloads, and removes it at the end.

    The caller holds the cache lock, so existing files are left over from a killed process.
    """
    directory = cache / ".downloading"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _has_sha256(path: Path, jar: Jar) -> bool:
    """Returns whether the file exists and has the jar's SHA-256 sum."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _download_jars(jars: Sequence[Jar], directory: Path, cache: Path) -> Iterator[Jar]:
    """Downloads the jars to `directory`, and yields each one after moving it to the cache.

    Only verified jars reach the cache. Raises `BrokerUnavailable`.
    """
    repository = os.environ.get(_REPOSITORY_VARIABLE) or _MAVEN_CENTRAL

    def download(jar: Jar) -> Jar:
        downloaded = directory / jar.file_name
        try:
            _fetch(f"{repository.rstrip('/')}/{jar.path}", downloaded)
        except (OSError, HTTPException, ValueError) as error:
            change = f"check the connection to {repository} (HTTPS_PROXY, SSL_CERT_FILE), "
            change += f"or set {_REPOSITORY_VARIABLE} to a mirror of Maven Central"
            reason = f"cannot download {jar.coordinate}: {_root_cause(error)}; {change}"
            raise BrokerUnavailable(reason) from error
        if not _has_sha256(downloaded, jar):
            difference = "the download does not have the SHA-256 sum of the lock file"
            change = "try again; if the error persists, a proxy or the mirror alters downloads"
            raise BrokerUnavailable(f"{jar.coordinate}: {difference}; {change}")
        downloaded.replace(cache / jar.file_name)  # atomic: both are on the same file system
        return jar

    pool = ThreadPoolExecutor(_CONNECTIONS)
    try:
        for downloaded in as_completed([pool.submit(download, jar) for jar in jars]):
            yield downloaded.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _fetch(url: str, path: Path) -> None:
    """Raises `OSError`, `HTTPException`, or `ValueError` for an address without a scheme."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is not an http(s) address")
    opener = urllib.request.build_opener()  # the shared one keeps the first call's proxies
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as response, path.open("wb") as file:
            shutil.copyfileobj(response, file)
    except urllib.error.HTTPError as error:
        error.close()  # it has the connection
        raise


def _root_cause(error: Exception) -> str:
    """Returns the message of the error that `urllib` wraps, without a line break."""
    return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
