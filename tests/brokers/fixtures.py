"""Brokers as pytest fixtures; tests/conftest.py names this file as a plugin."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import pytest

from tests.brokers.apache import ApacheKafka
from tests.brokers.choose import choose_broker
from tests.brokers.protocol import Broker


class StartApacheKafka(Protocol):
    def __call__(self, nodes: int = 1, properties: dict[str, str] | None = None) -> ApacheKafka: ...


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The one that this run has chosen, shared by all its tests."""
    with _uncaptured(request):
        chosen = choose_broker()
        chosen.start()
    yield chosen
    chosen.stop()


@pytest.fixture(scope="session")
def apache_kafka(broker: Broker, request: pytest.FixtureRequest) -> Iterator[ApacheKafka]:
    """Apache Kafka on this machine, shared: `broker` itself where that is what it is."""
    if isinstance(broker, ApacheKafka):
        yield broker
        return
    with _uncaptured(request):
        kafka = ApacheKafka()
        kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def start_apache_kafka(request: pytest.FixtureRequest) -> Iterator[StartApacheKafka]:
    """Takes what `ApacheKafka` takes and starts one for this test alone, to be broken at will."""
    with ExitStack() as started:

        def start(nodes: int = 1, properties: dict[str, str] | None = None) -> ApacheKafka:
            with _uncaptured(request):
                return started.enter_context(ApacheKafka(nodes, properties))

        yield start


@contextmanager
def _uncaptured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Output goes to the terminal: the progress of a first download, which takes a while."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        yield
