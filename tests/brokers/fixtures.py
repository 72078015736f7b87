"""Brokers as pytest fixtures; tests/conftest.py names this file as a plugin."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import pytest

from tests.brokers.apache import ApacheKafka
from tests.brokers.choose import choose_broker
from tests.brokers.jars import why_no_apache_kafka
from tests.brokers.protocol import Broker
from worker.kafka.dev_broker import BrokerUnavailable


class StartApacheKafka(Protocol):
    def __call__(self, nodes: int = 1, properties: dict[str, str] | None = None) -> ApacheKafka: ...


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The one that this run has chosen, shared by all its tests."""
    with _said_aloud(request):
        chosen = choose_broker()
        chosen.start()
    yield chosen
    chosen.stop()


@pytest.fixture(scope="session")
def _apache_kafka_can_be_had() -> None:
    """Skips the test where it cannot, unless this run demands it."""
    reason = why_no_apache_kafka()
    if reason is None:
        return
    if os.environ.get("TEST_BROKER") == ApacheKafka.name:
        raise BrokerUnavailable(f"TEST_BROKER={ApacheKafka.name} cannot be met: {reason}")
    pytest.skip(f"needs Apache Kafka: {reason}")


@pytest.fixture(scope="session")
def apache_kafka(
    _apache_kafka_can_be_had: None, broker: Broker, request: pytest.FixtureRequest
) -> Iterator[ApacheKafka]:
    """Apache Kafka on this machine, shared: `broker` itself where that is what it is."""
    if isinstance(broker, ApacheKafka):
        yield broker
        return
    with _said_aloud(request):
        kafka = ApacheKafka()
        kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def start_apache_kafka(
    _apache_kafka_can_be_had: None, request: pytest.FixtureRequest
) -> Iterator[StartApacheKafka]:
    """Takes what `ApacheKafka` takes and starts one for this test alone, to be broken at will."""
    with ExitStack() as started:

        def start(nodes: int = 1, properties: dict[str, str] | None = None) -> ApacheKafka:
            with _said_aloud(request):
                return started.enter_context(ApacheKafka(nodes, properties))

        yield start


@contextmanager
def _said_aloud(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is printed goes to the terminal: which broker it is matters in every run."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        yield
