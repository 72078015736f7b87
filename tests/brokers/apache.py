"""Apache Kafka in KRaft mode on this machine's JVM: the broker that the suite runs on.

Responsible for how nodes make a cluster, how each is configured for tests, and what can be done to
one of them: killed, ended cleanly, suspended, started again. Topics are left to the tests.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.brokers.distribution import suite_class_path, suite_distribution
from worker.kafka.class_archive import ClassArchive
from worker.kafka.dev_broker import DevBroker
from worker.kafka.java_runtime import JavaRuntime, find_java
from worker.kafka.kafka_node import CLUSTER_ID, KafkaNode, combined_node_properties, free_ports

# A node of the fault tests holds more records than the demo's.
_MAX_HEAP = "-Xmx512m"


@dataclass(frozen=True, slots=True)
class Listener:
    """One more way into every node: for clients that are told other ports (those of proxies), or
    that talk another protocol."""

    name: str
    advertised: Sequence[int] = ()
    """The port that each node, by its id, names to clients which came this way; none: its own."""
    protocol: str = "PLAINTEXT"


class ApacheKafka:
    """`nodes` combined nodes, ids from 0; `properties` go over those that it sets itself.

    `data` is node to the directory of its logs, where that is not to be one of its own; `format`
    is said to the tool that formats it.
    """

    name = "apache"

    def __init__(
        self,
        nodes: int = 1,
        properties: dict[str, str] | None = None,
        listeners: Sequence[Listener] = (),
        data: Mapping[int, Path] | None = None,
        format: Sequence[str] = (),  # noqa: A002 - as the tool names it
    ) -> None:
        self.bootstrap_servers = ""
        self._count = nodes
        self._given = properties or {}
        self._listeners = listeners
        self._data = data or {}
        self._format = format
        self._ports: dict[str, list[int]] = {}
        self._nodes: list[KafkaNode] = []

    def start(self) -> None:
        java = find_java()
        archive = ClassArchive.find(java, suite_class_path())
        if not archive.path.exists():
            with DevBroker(suite_distribution()):
                pass  # it writes the archive when it ends
        self._start(java, archive.use_options())

    def stop(self) -> None:
        while self._nodes:
            self._nodes.pop().remove()
        self.bootstrap_servers = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pid(self, node: int = 0) -> int:
        return self._nodes[node].process.pid

    def port(self, listener: str, node: int) -> int:
        """Where the node listens; for a `Listener`, what stands behind the advertised port."""
        return self._ports[listener][node]

    def wait_for_end(self, node: int, seconds: float) -> None:
        """Waits for a node that ends by itself. Raises `subprocess.TimeoutExpired`."""
        self._nodes[node].process.wait(seconds)

    def kill(self, node: int = 0) -> None:
        """SIGKILL: no goodbye to clients, controller or disk."""
        self._nodes[node].kill()

    def terminate(self, node: int = 0) -> None:
        """SIGTERM, and waits for the end: leaders are handed over where there is another node."""
        self._nodes[node].terminate()

    def suspend(self, node: int = 0) -> None:
        """SIGSTOP, and waits until every thread has stopped: connections stay open, unanswered."""
        self._nodes[node].process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid(node), os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self, node: int = 0) -> None:
        self._nodes[node].process.send_signal(signal.SIGCONT)

    def restart(self, node: int = 0) -> None:
        """Same ports, same data; kills it first if it still runs. Returns when it serves again."""
        self._nodes[node].kill()
        self._nodes[node].launch()
        self._nodes[node].wait_until_serving({node})

    def _start(self, java: JavaRuntime, jvm_options: Sequence[str]) -> None:
        names = ["PLAINTEXT", "CONTROLLER", *(listener.name for listener in self._listeners)]
        ports = free_ports(len(names) * self._count)
        self._ports = {
            name: ports[place * self._count : (place + 1) * self._count]
            for place, name in enumerate(names)
        }
        clients = self._ports["PLAINTEXT"]

        def launch(node_id: int) -> None:
            properties = for_tests(self._count) | self._of_node(node_id) | self._given
            self._nodes[node_id].format(CLUSTER_ID, properties, self._format)
            self._nodes[node_id].launch()

        try:
            for port in clients:
                options = [_MAX_HEAP, *jvm_options]
                self._nodes.append(KafkaNode(port, java.program, suite_class_path(), options))
            with ThreadPoolExecutor(self._count) as pool:
                list(pool.map(launch, range(self._count)))
            for node in self._nodes:
                node.wait_until_serving(set(range(self._count)))
        except BaseException:
            self.stop()
            raise
        self.bootstrap_servers = ",".join(f"127.0.0.1:{port}" for port in clients)

    def _of_node(self, node_id: int) -> dict[str, str]:
        """What is this node's own, and what depends on the ports."""
        advertised: dict[str, Sequence[int]] = {"PLAINTEXT": self._ports["PLAINTEXT"]}
        advertised |= {
            listener.name: listener.advertised or self._ports[listener.name]
            for listener in self._listeners
        }
        protocols = dict.fromkeys(self._ports, "PLAINTEXT")
        protocols |= {listener.name: listener.protocol for listener in self._listeners}
        voters = enumerate(self._ports["CONTROLLER"])
        own = {
            "node.id": str(node_id),
            "listeners": _addresses(self._ports, node_id),
            "advertised.listeners": _addresses(advertised, node_id),
            "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in protocols.items()),
            "controller.quorum.voters": ",".join(f"{id_}@127.0.0.1:{port}" for id_, port in voters),
        }
        return own | ({"log.dirs": str(self._data[node_id])} if node_id in self._data else {})


def _addresses(ports: Mapping[str, Sequence[int]], node_id: int) -> str:
    return ",".join(f"{name}://127.0.0.1:{by_node[node_id]}" for name, by_node in ports.items())


def for_tests(nodes: int) -> dict[str, str]:
    """Over the demo's properties: timeouts that a test can wait for."""
    return combined_node_properties(nodes) | {
        # A group may notice a dead member within a second; by default, within 6 s.
        "group.min.session.timeout.ms": "1000",
        # A transaction that has timed out is looked for this often; by default every 10 s.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        # A killed node may come back only when its old session has ended; by default, after 9 s.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "200",
    }
