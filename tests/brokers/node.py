"""One JVM of Apache Kafka, broker and controller in one, on a directory of its own.

Knows how to format that directory, serve it, and tell that it is served. Which nodes make a
cluster, and how they are configured, is left to apache.py.
"""

import contextlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka.protocol.metadata import MetadataResponse_v1

from worker.kafka.dev_broker import BrokerUnavailable, guard

# One node is up in 1 s, three on two cores in 3 s; the rest is for a machine under load.
START_SECONDS = 60.0

# An idle node ends cleanly in 0.3 s.
TERMINATE_SECONDS = 30.0

# Measured on two cores: with the serial collector and the first compiler alone a start costs 1.0 s
# of CPU (1.6 s with the defaults), and a record of 1.5 KB 45 us from the first seconds on. C2 would
# bring that to 35 us, but only after ten seconds at up to 180 us, busy compiling.
_JAVA = (
    "java",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # or a killed JVM leaves a file behind in /tmp
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

# Metadata v1: size, api key 3, version 1, correlation id 1, null client id, no topics.
_METADATA = struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0)


class Node:
    """At most one JVM at a time; the data outlives it until `remove`."""

    def __init__(self, port: int, class_path: str, option: str) -> None:
        self._port = port
        self._directory = Path(tempfile.mkdtemp(prefix="qa-worker-kafka-"))
        self._properties = self._directory / "server.properties"
        self._output = self._directory / "output"
        self._java = [*_JAVA, option, "-cp", class_path]
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"the node on port {self._port} is not running")
        return self._process

    def format(
        self, cluster_id: str, properties: dict[str, str], options: Sequence[str] = ()
    ) -> None:
        """Writes what a node of this cluster starts from."""
        properties = {"log.dirs": str(self._directory / "data")} | properties
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        main = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)]
        main += options
        ended = subprocess.run([*self._java, *main], capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise BrokerUnavailable(f"Kafka's format failed:\n{ended.stdout}{ended.stderr}")

    def launch(self) -> None:
        """Starts the JVM and does not wait for it."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._properties)],
                cwd=self._directory,  # where a crash leaves its report
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, whose fixtures end the broker
            )
        self._guard = guard(self._process.pid, str(self._directory))

    def wait_until_it_knows(self, node_ids: set[int]) -> None:
        """Returns once it serves, and names at least these nodes to its clients."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                ended = f"ended with code {self.process.returncode}"
                raise BrokerUnavailable(f"Kafka {ended}:\n{self._last_output()}")
            with contextlib.suppress(OSError):
                if node_ids <= _nodes_known_at(self._port):
                    return
            time.sleep(0.02)
        late = f"did not serve within {START_SECONDS:g} s"
        raise BrokerUnavailable(f"Kafka {late}:\n{self._last_output()}")

    def terminate(self) -> None:
        """SIGTERM, and waits for the clean end."""
        self.process.terminate()
        self.process.wait(TERMINATE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, suspended or not; does nothing if it is not running."""
        for process in (self._guard, self._process):
            if process is not None:
                with process:  # waits for its end, closes its pipe
                    process.kill()
        self._guard = self._process = None

    def remove(self) -> None:
        """Kills it and removes its data."""
        self.kill()
        shutil.rmtree(self._directory)

    def _last_output(self) -> str:
        return self._output.read_text(errors="replace")[-3000:]


def _nodes_known_at(port: int) -> set[int]:
    with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
        connection.sendall(_METADATA)
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        answer = _exactly(connection, size)[4:]  # without the correlation id
    return {broker[0] for broker in MetadataResponse_v1.decode(answer).brokers}


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = connection.recv(count, socket.MSG_WAITALL)
    if len(received) != count:
        raise ConnectionResetError("the broker hung up in the middle of an answer")
    return received
