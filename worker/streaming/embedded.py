"""A broker for a machine that has none: `noida-db`, one small binary from the extra `embedded`.

For a laptop and for tests, never for production: one node, held in memory, thrown away on stop.
It knows how to start that binary, how to tell that Kafka answers, and how to leave nothing behind.
Topics and records are left to whoever connects to `bootstrap_servers`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

# It is up in 0.1 s on an idle laptop; a hundred times that is a machine in trouble, not a slow one.
START_SECONDS = 10.0

# Waits until our end of its stdin closes, which the kernel does however we end (SIGKILL too), then
# clears up. Not PR_SET_PDEATHSIG: that needs a preexec_fn, which may deadlock where there are
# threads, and it fires when the starting *thread* ends, not the process.
_GUARD = 'cat; kill -KILL "$1"; rm -rf "$2"'

# ApiVersions v0: api key 18, version 0, correlation id 1, null client id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class BrokerUnavailable(RuntimeError):
    """There is no such broker to be had here; the message is one that a user can act on."""


class EmbeddedBroker:
    """`with EmbeddedBroker() as broker:` then connect to `broker.bootstrap_servers`.

    Raises `BrokerUnavailable` from `start` if the extra is missing or the binary does not come up.
    """

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Blocks for about 0.1 s, until the Kafka protocol answers."""
        binary = _find_binary()
        self._directory = Path(tempfile.mkdtemp(prefix="qa-worker-broker-"))
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    # Port 0 lets the kernel choose: no free port that another may take meanwhile.
                    [binary, "start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port", "0"]
                    + ["--data-dir", self._directory / "data"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    # Not the terminal: the binary prints a harmless line about GLIBC versions.
                    stderr=subprocess.STDOUT,
                    # Ctrl-C is for the worker, which still needs a broker while it drains.
                    start_new_session=True,
                )
            self._guard = subprocess.Popen(
                ["sh", "-c", _GUARD, "sh", str(self._process.pid), str(self._directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.bootstrap_servers = self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the broker and removes its data; does nothing if it is not running."""
        for process in (self._guard, self._process):
            if process is not None:
                process.kill()
                process.wait()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
        if self._process is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._process = self._guard = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self._directory / "noida.log"

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ended = process.poll()
            output = self._log.read_text(errors="replace")
            if ended is not None:
                raise BrokerUnavailable(f"noida-db ended with code {ended}:\n{_last_lines(output)}")
            address = re.search(r"^\s*kafka\s+(127\.0\.0\.1):(\d+)\n", output, re.MULTILINE)
            if address and _kafka_answers(address[1], int(address[2])):
                return f"{address[1]}:{address[2]}"
            time.sleep(0.01)
        raise BrokerUnavailable(
            f"noida-db did not answer within {START_SECONDS:g} s:\n{_last_lines(output)}"
        )


def _find_binary() -> str:
    package = importlib.util.find_spec("noida_db")
    binary = Path(package.origin).with_name("noida-db") if package and package.origin else None
    if binary is None or not binary.is_file():
        raise BrokerUnavailable('no embedded broker here: pip install "qa-worker[embedded]"')
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return str(binary)


def _kafka_answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        with socket.create_connection((host, port), timeout=1.0) as connection:
            connection.sendall(_API_VERSIONS)
            head = connection.recv(10, socket.MSG_WAITALL)
            # size, correlation id, error code
            return len(head) == 10 and struct.unpack(">iih", head)[1:] == (1, 0)
    return False


def _last_lines(output: str) -> str:
    lines = [line for line in output.splitlines() if "weak version" not in line]
    return "\n".join(lines[-10:]) or "(no output)"
