"""Brokers as pytest fixtures; tests/conftest.py names this file as a plugin."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import pytest

from tests.brokers.apache import NEVER_KILLED, ApacheKafka
from tests.brokers.choose import choose_broker
from tests.brokers.protocol import Broker
from tests.brokers.shared import directory_of_run, shared_broker


class StartApacheKafka(Protocol):
    """Starts a cluster for one test. The arguments are those of `ApacheKafka`."""

    def __call__(self, nodes: int = 1, properties: dict[str, str] | None = None) -> ApacheKafka: ...


@pytest.fixture(scope="session")
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The broker that `TEST_BROKER` selects, shared by all tests of the run."""
    directory = directory_of_run(request.config, tmp_path_factory)
    with ExitStack() as stack:
        with _uncaptured(request):
            broker = stack.enter_context(shared_broker(directory, choose_broker))
        yield broker


@pytest.fixture(scope="session")
def apache_kafka(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Apache Kafka on this machine, shared by all tests: `broker`, if `broker` is of this kind."""
    if broker.name == ApacheKafka.name:
        yield broker
        return
    with _uncaptured(request):
        kafka = ApacheKafka(properties=NEVER_KILLED)
        kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def start_apache_kafka(request: pytest.FixtureRequest) -> Iterator[StartApacheKafka]:
    """A function that starts a cluster for this test alone, which the test may break."""
    with ExitStack() as started:

        def start(nodes: int = 1, properties: dict[str, str] | None = None) -> ApacheKafka:
            with _uncaptured(request):
                return started.enter_context(ApacheKafka(nodes, properties))

        yield start


@contextmanager
def _uncaptured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Shows output on the terminal, for the progress of the first download of Kafka."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        yield
