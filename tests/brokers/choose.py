"""Selects the tests' broker by `TEST_BROKER=apache|docker|external`. The default is `apache`."""

import os
from collections.abc import Callable
from functools import partial

from tests.brokers.apache import NEVER_KILLED, ApacheKafka
from tests.brokers.docker import DockerKafka
from tests.brokers.external import ExternalKafka
from tests.brokers.protocol import Broker
from worker.kafka.kafka_distribution import BrokerUnavailable

BROKERS: dict[str, Callable[[], Broker]] = {
    "apache": partial(ApacheKafka, properties=NEVER_KILLED),
    "docker": DockerKafka,
    "external": ExternalKafka,
}


def choose_broker() -> Broker:
    """Returns a broker that is not started yet. Raises `BrokerUnavailable` for an unknown name."""
    name = os.environ.get("TEST_BROKER") or "apache"
    if name not in BROKERS:
        raise BrokerUnavailable(f"TEST_BROKER={name}: it must be one of {', '.join(BROKERS)}")
    return BROKERS[name]()
