"""Runs a cluster of Apache Kafka in KRaft mode on this machine: the suite's default broker.

Responsible for the configuration of the nodes, for forming a cluster, and for faults of a node:
SIGKILL, clean end, suspension, restart. Not responsible for topics: tests create them.
"""

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.brokers.distribution import suite_class_path, suite_distribution, suite_java
from worker.kafka.class_archive import ClassArchive
from worker.kafka.dev_broker import DevBroker
from worker.kafka.java_runtime import JavaRuntime
from worker.kafka.kafka_node import CLUSTER_ID, KafkaNode, combined_node_properties, free_ports

# More than the demo's heap: the fault tests write more records.
_MAX_HEAP = "-Xmx512m"

NEVER_KILLED = {"broker.session.timeout.ms": "30000", "broker.heartbeat.interval.ms": "1000"}
"""Properties of a node that no test kills. Its controller fences a node that a busy machine keeps
from sending heartbeats for its session timeout; then the cluster has no broker."""

MEMORY = Path("/dev/shm")
"""A file system in memory. A node on it takes half the processor time to create a topic."""

_MEMORY_BYTES = 2 * 1024**3
"""Free space that is enough for the nodes of a run."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An additional listener on every node, for clients behind proxies or another protocol."""

    name: str
    advertised_ports: Sequence[int] = ()
    """The advertised port of each node, by node id. Empty: the ports that the nodes listen on."""
    protocol: str = "PLAINTEXT"
    """The security protocol, as in `listener.security.protocol.map`."""


class ApacheKafka:
    """A cluster of nodes that are broker and controller. Node ids start at 0."""

    name = "apache"

    def __init__(
        self,
        nodes: int = 1,
        properties: dict[str, str] | None = None,
        listeners: Sequence[Listener] = (),
        data: Mapping[int, Path] | None = None,
        format_options: Sequence[str] = (),
        racks: Sequence[str] = (),
        classes: Path | None = None,
    ) -> None:
        """`properties` override the built-in properties of every node.

        `data` maps node ids to log directories that outlive the cluster; other nodes use temporary
        directories. `format_options` are arguments of Kafka's storage tool. `classes` is a
        directory of class files that the properties name. `racks` has the rack of each node, by
        node id.
        """
        self.bootstrap_servers = ""
        self._node_count = nodes
        self._properties = properties or {}
        self._listeners = listeners
        self._data = data or {}
        self._format_options = format_options
        self._racks = racks
        self._classes = classes
        self._ports: dict[str, list[int]] = {}
        self._nodes: list[KafkaNode] = []

    def start(self) -> None:
        """Starts all nodes and waits until they serve. Raises `BrokerUnavailable`."""
        java = suite_java()
        archive = ClassArchive.find(java, suite_class_path())
        if not archive.path.exists():
            with DevBroker(suite_distribution()):
                pass  # the broker writes the archive when it ends
        self._start(java, archive.use_options())

    def stop(self) -> None:
        """Kills all nodes and removes their temporary directories."""
        while self._nodes:
            self._nodes.pop().remove()
        self.bootstrap_servers = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pid(self, node: int = 0) -> int:
        """Returns the process id of the node's JVM."""
        return self._nodes[node].process.pid

    def port(self, listener: str, node: int) -> int:
        """Returns the port that the node listens on, which may differ from the advertised one."""
        return self._ports[listener][node]

    def advertise(self, listener: str, port: int, node: int = 0) -> None:
        """From its next start the node names this port to clients of the listener."""
        properties = self._nodes[node].properties
        written = properties.read_text()
        address = rf"^advertised\.listeners=.*{listener}://127\.0\.0\.1:(\d+)"
        before = re.search(address, written, re.MULTILINE)
        assert before is not None, written
        properties.write_text(f"{written[: before.start(1)]}{port}{written[before.end(1) :]}")

    def wait_for_end(self, node: int, seconds: float) -> None:
        """Waits for a node that ends on its own. Raises `subprocess.TimeoutExpired`."""
        self._nodes[node].process.wait(seconds)

    def kill(self, node: int = 0) -> None:
        """Sends SIGKILL: the node neither closes connections nor flushes its logs."""
        self._nodes[node].kill()

    def terminate(self, node: int = 0) -> None:
        """Sends SIGTERM and waits for the end: the node first moves its leaders to other nodes."""
        self._nodes[node].terminate()

    def suspend(self, node: int = 0) -> None:
        """Sends SIGSTOP and waits until every thread has stopped.

        Connections stay open, and requests get no answer.
        """
        self._nodes[node].process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid(node), os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self, node: int = 0) -> None:
        """Sends SIGCONT."""
        self._nodes[node].process.send_signal(signal.SIGCONT)

    def restart(self, node: int = 0) -> None:
        """Starts the node again with the same ports and data, and waits until it serves.

        Kills the node first if it runs.
        """
        self._nodes[node].kill()
        self._nodes[node].launch()
        self._nodes[node].wait_until_serving({node})

    def _start(self, java: JavaRuntime, jvm_options: Sequence[str]) -> None:
        names = ["PLAINTEXT", "CONTROLLER", *(listener.name for listener in self._listeners)]
        ports = free_ports(len(names) * self._node_count)
        self._ports = {
            name: ports[index * self._node_count : (index + 1) * self._node_count]
            for index, name in enumerate(names)
        }
        clients = self._ports["PLAINTEXT"]
        # The archive of classes needs Kafka's jars first.
        class_path = os.pathsep.join([suite_class_path(), *map(str, filter(None, [self._classes]))])

        def launch(node_id: int) -> None:
            properties = (
                node_properties_for_tests(self._node_count)
                | self._node_properties(node_id)
                | self._properties
            )
            _format(self._nodes[node_id], properties, self._format_options)
            self._nodes[node_id].launch()

        try:
            for port in clients:
                options = [_MAX_HEAP, *jvm_options]
                self._nodes.append(
                    KafkaNode(port, java.program, class_path, options, _node_parent())
                )
            with ThreadPoolExecutor(self._node_count) as pool:
                list(pool.map(launch, range(self._node_count)))
            for node in self._nodes:
                node.wait_until_serving(set(range(self._node_count)))
        except BaseException:
            self.stop()
            raise
        self.bootstrap_servers = ",".join(f"127.0.0.1:{port}" for port in clients)

    def _node_properties(self, node_id: int) -> dict[str, str]:
        """Returns the properties that depend on the node or on ports."""
        advertised: dict[str, Sequence[int]] = {"PLAINTEXT": self._ports["PLAINTEXT"]}
        advertised |= {
            listener.name: listener.advertised_ports or self._ports[listener.name]
            for listener in self._listeners
        }
        protocols = dict.fromkeys(self._ports, "PLAINTEXT")
        protocols |= {listener.name: listener.protocol for listener in self._listeners}
        voters = enumerate(self._ports["CONTROLLER"])
        properties = {
            "node.id": str(node_id),
            "listeners": _addresses(self._ports, node_id),
            "advertised.listeners": _addresses(advertised, node_id),
            "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in protocols.items()),
            "controller.quorum.voters": ",".join(f"{id_}@127.0.0.1:{port}" for id_, port in voters),
        }
        if self._racks:
            properties["broker.rack"] = self._racks[node_id]
        if node_id in self._data:
            properties["log.dirs"] = str(self._data[node_id])
        return properties


def _node_parent() -> Path | None:
    """Returns the directory for the nodes' directories; None for that of temporary files."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free >= _MEMORY_BYTES:
            return MEMORY
    return None


_formatted: dict[tuple[str, ...], dict[Path, bytes]] = {}


def _format(node: KafkaNode, properties: dict[str, str], options: Sequence[str]) -> None:
    """Formats the node's log directory. Kafka's tool takes half as much processor time as the start
    of a node, so nodes of later clusters get the files that it wrote for the same node id.
    """
    key = (properties["node.id"], *options)
    if key not in _formatted:
        node.format(CLUSTER_ID, properties, options)
        directory = node.configure(properties)
        _formatted[key] = {
            path.relative_to(directory): path.read_bytes()
            for path in directory.rglob("*")
            if path.is_file()
        }
        return
    directory = node.configure(properties)
    for path, content in _formatted[key].items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def _addresses(ports: Mapping[str, Sequence[int]], node_id: int) -> str:
    return ",".join(f"{name}://127.0.0.1:{by_node[node_id]}" for name, by_node in ports.items())


def node_properties_for_tests(nodes: int) -> dict[str, str]:
    """Returns the demo's node properties with shorter timeouts, which tests can wait for."""
    return combined_node_properties(nodes) | {
        # Minimum time after which a group removes a dead member. The default is 6 s.
        "group.min.session.timeout.ms": "1000",
        # Period of the check for transactions that have timed out. The default is 10 s.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        # A killed node cannot rejoin before its old session has ended. The default is 9 s.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "200",
    }
