"""Which broker the tests run on: the nearest to production that this machine can give.

`TEST_BROKER=apache|docker|embedded|external` demands one; then there is no second choice.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from tests.brokers.apache import ApacheKafka
from tests.brokers.docker import DockerKafka, why_no_docker
from tests.brokers.embedded import EmbeddedKafka, why_no_embedded
from tests.brokers.external import ExternalKafka, why_no_external
from tests.brokers.jars import why_no_apache_kafka
from tests.brokers.protocol import Broker
from worker.kafka.dev_broker import BrokerUnavailable


@dataclass(frozen=True, slots=True)
class Way:
    """`why_not` says why it cannot be gone here, in a few words, or None."""

    why_not: Callable[[], str | None]
    make: Callable[[], Broker]


WAYS = {
    "external": Way(why_no_external, ExternalKafka),
    "docker": Way(why_no_docker, DockerKafka),
    "apache": Way(why_no_apache_kafka, ApacheKafka),
    "embedded": Way(why_no_embedded, EmbeddedKafka),
}


def choose_broker() -> Broker:
    """Not started yet. Prints which, and why those before it were passed over."""
    demanded = os.environ.get("TEST_BROKER")
    if demanded and demanded not in WAYS:
        raise BrokerUnavailable(f"TEST_BROKER={demanded}: it must be one of {', '.join(WAYS)}")
    passed_over: list[str] = []
    for name in [demanded] if demanded else WAYS:
        reason = WAYS[name].why_not()
        if reason is None:
            print("\nbroker:", f"{name}, as TEST_BROKER demands" if demanded else name, end="")
            print("".join(f"; not {other}" for other in passed_over))
            return WAYS[name].make()
        passed_over.append(f"{name}: {reason}")
    demand = f"TEST_BROKER={demanded} cannot be met: " if demanded else "no broker to be had: "
    raise BrokerUnavailable(demand + "; ".join(passed_over))
