"""One node of Apache Kafka (broker and controller in one JVM) with its own temporary directory.

Responsible for formatting the directory, starting and ending the JVM, waiting until the node
serves, and removing the process and its files. Not responsible for the composition of a cluster,
nor for topics.
"""

import contextlib
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka.protocol.metadata import MetadataResponse_v1

from worker.kafka.kafka_distribution import BrokerUnavailable

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"

# Timeout of a start. Measured: one node starts in 2 s, three nodes on two cores in 5 s. A machine
# under load needs more.
START_SECONDS = 60.0

# Timeout of a clean end. Measured: an idle node ends in 0.3 s.
TERMINATE_SECONDS = 30.0

# Measured on two cores: with the serial collector and only the C1 compiler, a start takes 1.0 s of
# CPU time (1.6 s with the JVM's defaults), and a record of 1.5 KB takes 45 us from the first
# seconds on. The C2 compiler would reach 35 us, but only after ten seconds at up to 180 us.
_JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # otherwise a killed JVM leaves a file in /tmp
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

# A Metadata request, v1: size, api key 3, version 1, correlation id 1, null client id, no topics.
_METADATA_REQUEST = struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0)


class KafkaNode:
    """Runs at most one JVM at a time. The data stays on disk between JVMs, until `remove`."""

    def __init__(
        self,
        port: int,
        java: Path,
        class_path: str,
        jvm_options: Sequence[str] = (),
        parent: Path | None = None,
    ) -> None:
        """Creates the node's directory, by default a temporary one; starts no process.

        `port` is the listener that `wait_until_serving` connects to. `jvm_options` override the
        built-in options. `parent` is the directory to create the node's in.
        """
        self._port = port
        self._directory = Path(tempfile.mkdtemp(prefix="qa-worker-kafka-", dir=parent))
        self.properties = self._directory / "server.properties"
        """The configuration file, read at each launch."""
        self._output_file = self._directory / "output"
        self._java = [str(java), *_JVM_OPTIONS, *jvm_options, "-cp", class_path]
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup_process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The JVM. Raises `RuntimeError` if it is not running."""
        if self._process is None:
            raise RuntimeError(f"the node on port {self._port} is not running")
        return self._process

    def configure(self, properties: dict[str, str]) -> Path:
        """Writes the node's configuration. Returns its log directory."""
        properties = {"log.dirs": str(self._directory / "data")} | properties
        self.properties.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        return Path(properties["log.dirs"])

    def format(
        self, cluster_id: str, properties: dict[str, str], options: Sequence[str] = ()
    ) -> None:
        """Writes the node's configuration and formats its log directory for the cluster.

        `options` are arguments of Kafka's storage tool. Raises `BrokerUnavailable` if the tool
        fails.
        """
        self.configure(properties)
        main = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.properties)]
        result = subprocess.run(  # noqa: S603
            [*self._java, *main, *options], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise _unavailable("cannot format its storage", result.stdout + result.stderr)

    def launch(self, *jvm_options: str) -> None:
        """Starts the JVM and returns at once. `jvm_options` apply to this run only."""
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [*self._java, *jvm_options, "kafka.Kafka", str(self.properties)],
                cwd=self._directory,  # a JVM that crashes writes its report here
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C must not reach the broker: the worker still needs it to drain.
                start_new_session=True,
            )
        self._cleanup_process = _start_cleanup_process(self._process.pid, str(self._directory))

    def wait_until_serving(self, node_ids: set[int]) -> None:
        """Returns once the node answers Metadata requests and lists at least these nodes.

        Raises `BrokerUnavailable` if the JVM ends first, or after `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise _unavailable(f"ended with code {self.process.returncode}", self._output())
            with contextlib.suppress(OSError):
                if node_ids <= _listed_nodes(self._port):
                    return
            time.sleep(0.02)
        raise _unavailable(f"did not serve within {START_SECONDS:g} s", self._output())

    def terminate(self) -> None:
        """Sends SIGTERM and waits for the clean end.

        Raises `subprocess.TimeoutExpired` after `TERMINATE_SECONDS`.
        """
        self.process.terminate()
        self.process.wait(TERMINATE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Sends SIGKILL, which ends a suspended JVM too. Does nothing if none is running."""
        for process in (self._cleanup_process, self._process):
            if process is not None:
                with process:  # waits for the end of the process and closes its pipe
                    process.kill()
        self._cleanup_process = self._process = None

    def remove(self) -> None:
        """Kills the JVM and removes the node's directory."""
        self.kill()
        shutil.rmtree(self._directory)

    def _output(self) -> str:
        return self._output_file.read_text(errors="replace")


def combined_node_properties(nodes: int) -> dict[str, str]:
    """Properties of a node that is broker and controller, in a small cluster of `nodes` nodes.

    `node.id`, listeners and voters are not included: the caller adds them for each node.
    """
    replicas = str(min(nodes, 3))
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # Only `topics create` creates topics, with the right settings.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": str(min(nodes, 2)),
        "transaction.state.log.num.partitions": "1",
        # A group starts as soon as its first member joins. The default is 3 s later.
        "group.initial.rebalance.delay.ms": "0",
        # Few threads: the clients run on the same cores.
        "num.network.threads": "2",
        "num.io.threads": "2",
        "background.threads": "2",
        # An idle controller otherwise writes a record every 500 ms, which every node then reads.
        "metadata.max.idle.interval.ms": "0",
        # The default is 128 MiB, allocated at the start.
        "log.cleaner.dedupe.buffer.size": str(2 * 1024 * 1024),
    }


def _start_cleanup_process(pid: int, directory: str) -> subprocess.Popen[bytes]:
    """Starts a shell that kills `pid` and removes `directory` when this process has ended.

    This works after a SIGKILL too.
    """
    # The shell waits until the kernel closes this process's end of its stdin. PR_SET_PDEATHSIG
    # would need a preexec_fn, which can deadlock in a process with threads, and it fires when the
    # starting *thread* ends.
    return subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", 'cat; kill -KILL "$1"; rm -rf "$2"', "cleanup", str(pid), directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


_returned_ports: set[int] = set()
"""Ports that `free_ports` has returned. Their users may not have bound them yet."""


def free_ports(count: int) -> list[int]:
    """Returns `count` ports of 127.0.0.1 that no process listens on, each only once per process.

    They are below 32768, the start of Linux's ephemeral range. A client that repeatedly connects
    to the port of a dead node in that range can get the same port as its source port: it then
    connects to itself and keeps the port in use.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as bound_sockets:
        while len(ports) < count:
            port = random.randrange(20_000, 32_768)  # noqa: S311
            if port in _returned_ports:
                continue
            with contextlib.suppress(OSError):
                bound_sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    _returned_ports.update(ports)
    return ports


def error_line(output: str) -> str:
    """Returns the line of a JVM's output that names the error.

    This is the last line with an exception, or the last line if there is none with an exception.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"(Exception|Error): ", line)]
    return (errors or lines or ["it printed nothing"])[-1]


def _unavailable(problem: str, output: str) -> BrokerUnavailable:
    error = BrokerUnavailable(f"Apache Kafka {problem}: {error_line(output)}")
    error.add_note(output[-3000:])  # pytest shows notes; the command line shows only the message
    return error


def _listed_nodes(port: int) -> set[int]:
    """Returns the ids of the nodes in the Metadata response. Raises `OSError`."""
    with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
        connection.sendall(_METADATA_REQUEST)
        (size,) = struct.unpack(">i", _receive_exactly(connection, 4))
        response = _receive_exactly(connection, size)[4:]  # without the correlation id
    return {broker[0] for broker in MetadataResponse_v1.decode(response).brokers}


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    received = connection.recv(count, socket.MSG_WAITALL)
    if len(received) != count:
        raise ConnectionResetError("the broker closed the connection within a response")
    return received
