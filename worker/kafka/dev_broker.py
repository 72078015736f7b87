"""A broker for a machine that has none: `noida-db`, one small binary from the extra `embedded`.

For a laptop and for tests, never for production: one node, held in memory, thrown away on stop.
It knows how to start that binary, how to tell that Kafka answers, and how to leave nothing behind.
Topics and records are left to whoever connects to `bootstrap_servers`.
"""

import contextlib
import importlib.util
import os
import re
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

# It is up in 0.02 s on an idle laptop; 500 times that is a machine in trouble, not a slow one.
START_SECONDS = 10.0

# Port 0: the kernel chooses one, so that no one else can take it meanwhile.
_OPTIONS = ("start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port", "0")

# ApiVersions v0: size, api key 18, version 0, correlation id 1, null client id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class BrokerUnavailable(RuntimeError):  # noqa: N818
    """There is no such broker to be had here; the message says why, or what to install."""


class EmbeddedBroker:
    """`with EmbeddedBroker() as broker:` then connect to `broker.bootstrap_servers`."""

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Returns once the Kafka protocol answers, or raises `BrokerUnavailable`."""
        binary = _find_binary()
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="qa-worker-"))
            output = Path(directory, "output")
            # Not to the terminal: the binary prints a harmless line about GLIBC. In a session of
            # its own: Ctrl-C is for the worker, which drains to this broker.
            with output.open("wb") as log:
                broker = subprocess.Popen(  # noqa: S603
                    [binary, *_OPTIONS, "--data-dir", f"{directory}/data"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            stack.callback(_end, broker)
            stack.callback(_end, guard(broker.pid, directory))
            self.bootstrap_servers = _wait_until_it_answers(broker, output)
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Ends the broker and removes its data; does nothing if it is not running."""
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def guard(pid: int, directory: str) -> subprocess.Popen[bytes]:
    """Kills `pid` and removes `directory` once this process has ended, by SIGKILL too."""
    # It waits for the kernel to close our end of its stdin. Not PR_SET_PDEATHSIG: that needs a
    # preexec_fn, a deadlock where there are threads, and fires when the starting *thread* ends.
    return subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", 'cat; kill -KILL "$1"; rm -rf "$2"', "guard", str(pid), directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _find_binary() -> str:
    package = importlib.util.find_spec("noida_db")
    if package is None or package.origin is None:
        raise BrokerUnavailable('no embedded broker here: pip install "qa-worker[embedded]"')
    binary = Path(package.origin).with_name("noida-db")
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)  # a wheel need not keep the bit; the package's own cli does this too
    return str(binary)


def _wait_until_it_answers(broker: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while broker.poll() is None and time.monotonic() < deadline:
        address = re.search(r"^ *kafka +(127\.0\.0\.1):(\d+)\n", output.read_text(), re.MULTILINE)
        if address and _answers(address[1], int(address[2])):
            return f"{address[1]}:{address[2]}"
        time.sleep(0.01)
    ended = "did not answer" if broker.returncode is None else f"ended ({broker.returncode})"
    said = [line for line in output.read_text().splitlines() if "weak version" not in line]
    raise BrokerUnavailable("\n".join([f"noida-db {ended}:", *said[-10:]]))


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1.0) as connection:
        connection.sendall(_API_VERSIONS)
        head = connection.recv(10, socket.MSG_WAITALL)
        return head[4:] == struct.pack(">ih", 1, 0)  # after the size: correlation id, error code
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes the guard's stdin, and waits
        process.kill()
