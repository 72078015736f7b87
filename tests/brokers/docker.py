"""Runs Apache Kafka's image with testcontainers. It needs a Docker engine.

testcontainers' KafkaContainer is not used: it needs scripts that only Confluent's images have. The
properties are those of apache.py, as environment variables of the image.
"""

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.brokers.apache import node_properties_for_tests
from tests.brokers.distribution import suite_distribution
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.kafka.kafka_node import free_ports

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

# Timeout of a start. It excludes the pull of the image (400 MB), which happens before the start.
_START_SECONDS = 60


# Runs in a separate process: without an engine, docker's client leaves sockets open, and the
# resulting ResourceWarning would fail a test.
_PING = "from testcontainers.core.docker_client import DockerClient; DockerClient().client.ping()"


def _missing() -> str | None:
    """Returns what is missing to run a container, or None."""
    if importlib.util.find_spec("testcontainers") is None:
        return "testcontainers is not installed"
    try:
        subprocess.run([sys.executable, "-c", _PING], capture_output=True, check=True, timeout=20)
    except subprocess.SubprocessError:
        return "no Docker engine answers"
    return None


class DockerKafka:
    """A broker in a container."""

    name = "docker"

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._container: DockerContainer | None = None

    def start(self) -> None:
        if missing := _missing():
            raise BrokerUnavailable(f"TEST_BROKER={self.name}: {missing}")
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        started = LogMessageWaitStrategy("Kafka Server started")
        container = DockerContainer(f"apache/kafka:{suite_distribution().version}").waiting_for(
            started.with_startup_timeout(_START_SECONDS)
        )
        # The broker advertises this address to clients, so the host's port is chosen beforehand.
        (port,) = free_ports(1)
        self.bootstrap_servers = f"{container.get_docker_client().host()}:{port}"
        properties = node_properties_for_tests(1) | {
            "node.id": "0",
            "controller.quorum.voters": "0@localhost:9093",
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
        }
        for key, value in properties.items():
            container.with_env(f"KAFKA_{key.replace('.', '_').upper()}", value)
        self._container = container.with_bind_ports(9092, port)
        self._container.start()

    def stop(self) -> None:
        if self._container is not None:
            self._container.stop()
        self._container = None
