"""Runs Apicurio Registry on this machine.

Responsible for the archive in the cache, the start and the end of the JVM, and faults: SIGKILL,
suspension, restart. Schemas are in a file, so they outlive the JVM, with their ids.
Measured: 243 MB resident, 7 s of processor time for a start.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from worker.kafka.java_runtime import find_java
from worker.kafka.kafka_distribution import (
    cache_directory,
    cache_lock,
    download_missing,
    parse_lock,
)
from worker.kafka.kafka_node import error_line, free_ports

LOCK = Path(__file__).with_name("apicurio.lock")
JAVA_MIN = 21

START_SECONDS = 180.0
"""Timeout of a start, which takes 5 s on two idle cores."""

_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # otherwise a killed JVM leaves a file in /tmp
    "-Dquarkus.http.host=127.0.0.1",
    "-Dquarkus.http.access-log.enabled=false",
    # Health and metrics, on port 9000 unless told otherwise: a second registry could not start.
    "-Dquarkus.management.host=127.0.0.1",
    "-Dquarkus.management.port=0",
    # The default is a pool of 20 connections to the database.
    "-Dapicurio.datasource.jdbc.initial-size=1",
    "-Dapicurio.datasource.jdbc.min-size=1",
)

_CLEAN_UP = 'cat "$2/holders"; kill -KILL "$1"; rm -rf "$2"'


class RegistryFailed(RuntimeError):  # noqa: N818 - as BrokerUnavailable
    """The JVM ended, or does not serve. The message has the reason; a note has its output."""


def application() -> Path:
    """Returns the directory of the unpacked application, downloaded on the first call.

    Raises `BrokerUnavailable` if that fails.
    """
    (archive,) = parse_lock(LOCK.read_text("utf-8"), LOCK.name)
    cache = cache_directory()
    unpacked = cache / f"{archive.artifact}-{archive.version}"
    with cache_lock(cache):
        if unpacked.exists():
            return unpacked
        download_missing([archive], cache, f"Apicurio Registry {archive.version}")
        partial = unpacked.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        with tarfile.open(cache / archive.file_name) as tar:
            tar.extractall(partial, filter="data")
        partial.replace(unpacked)
        (cache / archive.file_name).unlink()  # 158 MB
    return unpacked


class Apicurio:
    """At most one JVM at a time, on one port."""

    def __init__(self) -> None:
        """Finds Java and the application; starts nothing. Raises `BrokerUnavailable`."""
        self._java = find_java(JAVA_MIN, "Apicurio Registry").program
        self._application = application()
        (port,) = free_ports(1)
        self._server = f"http://127.0.0.1:{port}"
        self.url = f"{self._server}/apis/ccompat/v7"
        """The address of Confluent's API."""
        self.directory = Path(tempfile.mkdtemp(prefix="qa-worker-registry-"))
        self.holders = self.directory / "holders"
        """A FIFO; the JVM runs while any process has it open for writing, and ends with the last
        of them, also if that is killed."""
        os.mkfifo(self.holders)
        self._holder = os.open(self.holders, os.O_RDWR)  # does not wait for a reader
        self._options = [
            *_OPTIONS,
            f"-Dquarkus.http.port={port}",
            # Otherwise a schema is on disk half a second after the registry has confirmed it.
            f"-Dapicurio.datasource.url=jdbc:h2:file:{self.directory / 'schemas'};WRITE_DELAY=0",
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the JVM."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts the JVM and waits until it serves. Raises `RegistryFailed`."""
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._java, *self._options, "-jar", self._application / "quarkus-run.jar"],
                cwd=self.directory,  # a JVM that crashes writes its report here
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the tests first
            )
        self._cleanup = subprocess.Popen(
            ["/bin/sh", "-c", _CLEAN_UP, "cleanup", str(self.pid), str(self.directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            if self._process.poll() is not None:
                raise self._failed(f"ended with code {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"did not serve within {START_SECONDS:g} s")
            time.sleep(0.1)
        # The default of Confluent's registry; Apicurio's is NONE.
        request = urllib.request.Request(
            f"{self.url}/config",
            b'{"compatibility": "BACKWARD"}',
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=START_SECONDS):
            pass

    def kill(self) -> None:
        """SIGKILL; the port refuses connections from then on. `start` starts it again."""
        for process in (self._cleanup, self._process):
            if process is not None:
                process.kill()
                process.wait()
        self._cleanup = self._process = None

    def suspend(self) -> None:
        """SIGSTOP: connections stay open, and requests get no answer."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Waits for other processes that hold the registry; ends the JVM, removes its files."""
        os.close(self._holder)
        for process in (self._cleanup, self._process):
            if process is not None:
                process.wait()
        self._cleanup = self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)  # also after `kill`

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _failed(self, problem: str) -> RegistryFailed:
        output = (self.directory / "output").read_text(errors="replace")
        error = RegistryFailed(f"Apicurio Registry {problem}: {error_line(output)}")
        error.add_note(output[-3000:])
        return error


@contextmanager
def shared_registry(directory: Path) -> Iterator[str]:
    """The URL of the registry of all processes that name this directory.

    The first of them starts it. Raises `BrokerUnavailable`, and `RegistryFailed`.
    """
    note = directory / "registry"
    with (directory / "registry.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes
        holder: int | None = None
        with suppress(OSError):  # no note, no FIFO, or its JVM has ended
            url, holders = note.read_text().split("\n")
            holder = os.open(holders, os.O_WRONLY | os.O_NONBLOCK)
        if holder is None:
            registry = Apicurio()
            try:
                registry.start()
            except BaseException:
                registry.kill()
                registry.stop()
                raise
            note.write_text(f"{registry.url}\n{registry.holders}")
    if holder is None:
        try:
            yield registry.url
        finally:
            registry.stop()
    else:
        try:
            yield url
        finally:
            os.close(holder)
