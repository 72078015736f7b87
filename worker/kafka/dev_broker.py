"""Runs one node of Apache Kafka for development and for the demo.

Not for production: the data is in a temporary directory, which `stop` removes. Needs Maven Central
and PyPI, or the cached jars and a Java. Not responsible for topics and records: clients
connect to `bootstrap_servers` and create them.
"""

import contextlib
import subprocess
from pathlib import Path
from typing import Self

from worker.kafka.class_archive import ClassArchive
from worker.kafka.java_runtime import find_java
from worker.kafka.kafka_distribution import KafkaDistribution
from worker.kafka.kafka_node import CLUSTER_ID, KafkaNode, combined_node_properties, free_ports

KAFKA_VERSION = "4.4.0"

# The JVM then has 325 MB resident. The demo's records need a small part of this heap.
_MAX_HEAP = "-Xmx256m"


def kafka_distribution() -> KafkaDistribution:
    """Returns the version of Apache Kafka that the demo runs. Raises `BrokerUnavailable`."""
    return KafkaDistribution.read(Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.lock"))


class DevBroker:
    """A broker that runs from `start` to `stop`, or in a `with` block.

    Clients connect to `bootstrap_servers`, which is empty while no broker runs.
    """

    def __init__(self, distribution: KafkaDistribution | None = None) -> None:
        """`distribution` defaults to the demo's version of Kafka."""
        self.bootstrap_servers = ""
        self._distribution = distribution
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Starts the node and waits until it serves. Raises `BrokerUnavailable`."""
        java = find_java()
        class_path = (self._distribution or kafka_distribution()).class_path()
        archive = ClassArchive.find(java, class_path)
        record = not archive.path.exists()
        use = [] if record else archive.use_options()
        port, controller_port = free_ports(2)
        with contextlib.ExitStack() as stack:
            node = KafkaNode(port, java.program, class_path, [_MAX_HEAP, *use])
            stack.callback(node.remove)
            node.format(CLUSTER_ID, _properties(port, controller_port))
            node.launch(*(archive.record_options(java) if record else []))
            node.wait_until_serving({0})
            if record:
                stack.callback(_terminate_and_publish, node, archive)
            self._running = stack.pop_all()
        self.bootstrap_servers = f"127.0.0.1:{port}"

    def stop(self) -> None:
        """Ends the node and removes its data. Does nothing if it is not running.

        The first stop takes some seconds longer, since the JVM writes the archive of its classes.
        """
        self._running.close()
        self.bootstrap_servers = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _terminate_and_publish(node: KafkaNode, archive: ClassArchive) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):  # the next run records again
        node.terminate()
        archive.publish()


def _properties(port: int, controller_port: int) -> dict[str, str]:
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    return combined_node_properties(1) | {
        "node.id": "0",
        "listeners": f"{listener},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listener,
        "controller.quorum.voters": f"0@127.0.0.1:{controller_port}",
    }
