"""Apache Kafka itself, KRaft, from Maven's jars on this machine's JVM: the suite's main broker.

Knows how nodes make a cluster, how each is configured for tests, and what can be done to one of
them: killed, ended cleanly, suspended, started again. Topics are left to the tests.
"""

import random
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.brokers.jars import VERSION, class_archive, class_path
from tests.brokers.node import Node

_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"


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
    is_apache = True
    version = VERSION

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
        self._nodes: list[Node] = []

    def start(self) -> None:
        jars, archive = class_path(), class_archive()
        if not archive.exists():
            _make_class_archive(jars, archive)
        self._start(jars, f"-XX:SharedArchiveFile={archive}")

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
        """SIGSTOP: connections stay open and nothing answers."""
        self._nodes[node].process.send_signal(signal.SIGSTOP)

    def resume(self, node: int = 0) -> None:
        self._nodes[node].process.send_signal(signal.SIGCONT)

    def restart(self, node: int = 0) -> None:
        """Same ports, same data; kills it first if it still runs. Returns when it serves again."""
        self._nodes[node].kill()
        self._nodes[node].launch()
        self._nodes[node].wait_until_it_knows({node})

    def _start(self, jars: str, option: str) -> None:
        names = ["PLAINTEXT", "CONTROLLER", *(listener.name for listener in self._listeners)]
        ports = free_ports(len(names) * self._count)
        self._ports = {
            name: ports[place * self._count : (place + 1) * self._count]
            for place, name in enumerate(names)
        }
        clients = self._ports["PLAINTEXT"]

        def launch(node_id: int) -> None:
            properties = for_tests(self._count) | self._of_node(node_id) | self._given
            self._nodes[node_id].format(_CLUSTER_ID, properties, self._format)
            self._nodes[node_id].launch()

        try:
            for port in clients:
                self._nodes.append(Node(port, jars, option))
            with ThreadPoolExecutor(self._count) as pool:
                list(pool.map(launch, range(self._count)))
            for node in self._nodes:
                node.wait_until_it_knows(set(range(self._count)))
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
    replicas = str(min(nodes, 3))
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A topic that nobody made is a mistake in a test.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": str(min(nodes, 2)),
        "transaction.state.log.num.partitions": "1",
        # A group starts when its first member comes, and may notice a dead one within a second.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A transaction that has timed out is looked for this often; by default every 10 s.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        # A killed node may come back only when its old session has ended; by default, after 9 s.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "200",
        # Two cores are shared with the tests.
        "num.network.threads": "2",
        "num.io.threads": "2",
        "background.threads": "2",
        # 128 MiB by default, taken at the start.
        "log.cleaner.dedupe.buffer.size": str(2 * 1024 * 1024),
    }


def _make_class_archive(jars: str, archive: Path) -> None:
    """Loading classes is the half of a start; the JVM can keep them, loaded, from one run."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        made = Path(scratch, archive.name)
        kafka = ApacheKafka()
        try:
            kafka._start(jars, f"-XX:ArchiveClassesAtExit={made}")
            kafka.terminate()
            made.replace(archive)
        finally:
            kafka.stop()


_given: set[int] = set()
"""Ports that somebody in this process was given, and may not have bound yet."""


def free_ports(count: int) -> list[int]:
    """Below 32768, where Linux starts to hand ports out: a client that keeps calling a dead node's
    port would, sooner or later, be given that port to call from, reach itself, and hold it.
    """
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(20_000, 32_768)
            if port in _given:
                continue
            with suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    _given.update(ports)
    return ports
