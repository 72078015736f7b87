"""One JVM of Apache Kafka, broker and controller in one, on a directory of its own.

Responsible for formatting that directory, running the JVM on it, telling when it serves, and
leaving neither a process nor a file behind. Not responsible for which nodes make a cluster, nor
for topics.
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

# One node is up in 2 s, three on two cores in 5 s; the rest is for a machine under load.
START_SECONDS = 60.0

# An idle node ends cleanly in 0.3 s.
TERMINATE_SECONDS = 30.0

# Measured on two cores: with the serial collector and the first compiler alone a start costs 1.0 s
# of CPU (1.6 s with the defaults), and a record of 1.5 KB 45 us from the first seconds on. C2 would
# bring that to 35 us, but only after ten seconds at up to 180 us, busy compiling.
_JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # or a killed JVM leaves a file behind in /tmp
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

# Metadata v1: size, api key 3, version 1, correlation id 1, null client id, no topics.
_METADATA = struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0)


class KafkaNode:
    """At most one JVM at a time; the data outlives it until `remove`.

    `port` is the listener that is asked whether the node serves. `jvm_options` go over the
    built-in ones.
    """

    def __init__(
        self, port: int, java: Path, class_path: str, jvm_options: Sequence[str] = ()
    ) -> None:
        self._port = port
        self._directory = Path(tempfile.mkdtemp(prefix="qa-worker-kafka-"))
        self.properties = self._directory / "server.properties"
        """The configuration file, read at each launch."""
        self._output = self._directory / "output"
        self._java = [str(java), *_JVM_OPTIONS, *jvm_options, "-cp", class_path]
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
        """Writes the configuration and the empty log that a node of this cluster starts from.

        `options` go to Kafka's storage tool. Raises `BrokerUnavailable` where that fails.
        """
        properties = {"log.dirs": str(self._directory / "data")} | properties
        self.properties.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        main = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.properties)]
        ended = subprocess.run(  # noqa: S603
            [*self._java, *main, *options], capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise _unavailable("cannot format its storage", ended.stdout + ended.stderr)

    def launch(self, *jvm_options: str) -> None:
        """Starts the JVM, with more options for this run, and does not wait for it."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [*self._java, *jvm_options, "kafka.Kafka", str(self.properties)],
                cwd=self._directory,  # where a crash leaves its report
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the caller: a worker drains to this broker before it ends.
                start_new_session=True,
            )
        self._guard = guard(self._process.pid, str(self._directory))

    def wait_until_it_knows(self, node_ids: set[int]) -> None:
        """Returns once it serves, and names at least these nodes to its clients.

        Raises `BrokerUnavailable` where the JVM ends or `START_SECONDS` pass before.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise _unavailable(f"ended with code {self.process.returncode}", self._said())
            with contextlib.suppress(OSError):
                if node_ids <= _nodes_known_at(self._port):
                    return
            time.sleep(0.02)
        raise _unavailable(f"did not serve within {START_SECONDS:g} s", self._said())

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

    def _said(self) -> str:
        return self._output.read_text(errors="replace")


def combined_node_properties(nodes: int) -> dict[str, str]:
    """What every node needs that is broker and controller in a small cluster of `nodes`.

    Without `node.id`, listeners and voters, which differ from node to node.
    """
    replicas = str(min(nodes, 3))
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A topic comes into being by `create`, with the settings that it should have.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": str(min(nodes, 2)),
        "transaction.state.log.num.partitions": "1",
        # A group starts when its first member joins; by default, 3 s later.
        "group.initial.rebalance.delay.ms": "0",
        # The cores are shared with the clients.
        "num.network.threads": "2",
        "num.io.threads": "2",
        "background.threads": "2",
        # 128 MiB by default, taken at the start.
        "log.cleaner.dedupe.buffer.size": str(2 * 1024 * 1024),
    }


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


_given_ports: set[int] = set()
"""Ports that this process was given and may not have bound yet."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that no process listens on.

    Below 32768, where Linux starts to hand ports out: a client that keeps calling a dead node's
    port would, sooner or later, be given that port to call from, reach itself, and hold it.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(20_000, 32_768)  # noqa: S311
            if port in _given_ports:
                continue
            with contextlib.suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    _given_ports.update(ports)
    return ports


def reason_in(output: str) -> str:
    """The line of a JVM's output that names the error: its last exception, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"(Exception|Error): ", line)]
    return (errors or lines or ["it printed nothing"])[-1]


def _unavailable(what: str, output: str) -> BrokerUnavailable:
    error = BrokerUnavailable(f"Apache Kafka {what}: {reason_in(output)}")
    error.add_note(output[-3000:])  # for who debugs a test; the command line shows one line
    return error


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
