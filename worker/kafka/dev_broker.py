"""Apache Kafka for a machine that has none: one node, for a laptop and for the demo.

Never for production: its data lies in a temporary directory and goes when it stops. Needs the
extra `demo`, or the jars in the cache and Java. Topics and records are left to the clients that
connect to `bootstrap_servers`.
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

# 325 MB resident in all, at which the demo's records leave most of the heap free.
_MAX_HEAP = "-Xmx256m"


def kafka_distribution() -> KafkaDistribution:
    """The version of Apache Kafka that the demo runs. Raises `BrokerUnavailable`."""
    return KafkaDistribution.read(Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.lock"))


class DevBroker:
    """`with DevBroker() as broker:` then connect to `broker.bootstrap_servers`.

    `distribution` is the version of Kafka; by default that of the demo.
    """

    def __init__(self, distribution: KafkaDistribution | None = None) -> None:
        self.bootstrap_servers = ""
        self._distribution = distribution
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Returns once the node serves. Raises `BrokerUnavailable`."""
        java = find_java()
        class_path = (self._distribution or kafka_distribution()).class_path()
        archive = ClassArchive.of(java, class_path)
        record = not archive.path.exists()
        use = [] if record else archive.use_options()
        port, controller_port = free_ports(2)
        with contextlib.ExitStack() as stack:
            node = KafkaNode(port, java.program, class_path, [_MAX_HEAP, *use])
            stack.callback(node.remove)
            node.format(CLUSTER_ID, _properties(port, controller_port))
            node.launch(*(archive.record_options(java) if record else []))
            node.wait_until_it_knows({0})
            if record:
                stack.callback(_end_and_keep, node, archive)
            self._running = stack.pop_all()
        self.bootstrap_servers = f"127.0.0.1:{port}"

    def stop(self) -> None:
        """Ends the node and removes its data; does nothing if it is not running.

        The first stop takes seconds more: the JVM writes the archive of its classes.
        """
        self._running.close()
        self.bootstrap_servers = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _end_and_keep(node: KafkaNode, archive: ClassArchive) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):  # the next run records again
        node.terminate()
        archive.keep()


def _properties(port: int, controller_port: int) -> dict[str, str]:
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    return combined_node_properties(1) | {
        "node.id": "0",
        "listeners": f"{listener},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listener,
        "controller.quorum.voters": f"0@127.0.0.1:{controller_port}",
    }
