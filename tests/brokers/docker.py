"""Apache Kafka's own image through testcontainers. Exercised only where a Docker engine answers.

Not testcontainers' KafkaContainer: that one drives the scripts of Confluent's images, which
Apache's image does not have. The settings are those of apache.py, under the image's names.
"""

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.brokers.apache import for_tests
from tests.brokers.distribution import suite_distribution
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.kafka.kafka_node import free_ports

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

# Pulling the image, 400 MB, is not in this: the engine does it before the container starts.
_START_SECONDS = 60


# In a process of its own: where no engine answers, docker's client leaves its sockets unclosed, and
# here a warning is an error.
_PING = "from testcontainers.core.docker_client import DockerClient; DockerClient().client.ping()"


def _why_no_docker() -> str | None:
    if importlib.util.find_spec("testcontainers") is None:
        return "testcontainers is not installed"
    try:
        subprocess.run([sys.executable, "-c", _PING], capture_output=True, check=True, timeout=20)
    except subprocess.SubprocessError:
        return "no Docker engine answers"
    return None


class DockerKafka:
    name = "docker"

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._container: DockerContainer | None = None

    def start(self) -> None:
        if reason := _why_no_docker():
            raise BrokerUnavailable(f"TEST_BROKER={self.name}: {reason}")
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        started = LogMessageWaitStrategy("Kafka Server started")
        container = DockerContainer(f"apache/kafka:{suite_distribution().version}").waiting_for(
            started.with_startup_timeout(_START_SECONDS)
        )
        # A broker tells its clients its own address, so the host's port has to be known before.
        (port,) = free_ports(1)
        self.bootstrap_servers = f"{container.get_docker_client().host()}:{port}"
        properties = for_tests(1) | {
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
