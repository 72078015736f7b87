"""A broker that already runs, at the address in `KAFKA_BOOTSTRAP_SERVERS`.

The tests neither start nor stop it. `start` connects once, so that a wrong address fails the run
at the start and not in every test.
"""

import contextlib
import os
import socket

from worker.kafka.kafka_distribution import BrokerUnavailable

_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"


class ExternalKafka:
    """A broker that the tests do not manage."""

    name = "external"

    def __init__(self) -> None:
        self.bootstrap_servers = os.environ.get(_VARIABLE, "")

    def start(self) -> None:
        if not self.bootstrap_servers:
            raise BrokerUnavailable(f"TEST_BROKER={self.name}: {_VARIABLE} is not set")
        for server in self.bootstrap_servers.split(","):
            host, _, port = server.strip().rpartition(":")
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5.0):
                return
        raise BrokerUnavailable(f"no broker listens at {_VARIABLE}={self.bootstrap_servers}")

    def stop(self) -> None:
        pass
