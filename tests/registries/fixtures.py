"""The schema registry as pytest fixtures; tests/conftest.py names this file as a plugin."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.brokers.shared import directory_of_run
from tests.registries.apicurio import Apicurio, shared_registry
from tests.registries.guid_proxy import guid_proxy
from tests.tools import missing
from worker.kafka.kafka_distribution import BrokerUnavailable

StartRegistry = Callable[[], Apicurio]


@pytest.fixture(scope="session")
def registry_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of Confluent's API of Apicurio Registry, shared by all processes of the run.

    Tests use subjects of their own.
    """
    directory = directory_of_run(request.config, tmp_path_factory)
    with ExitStack() as stack:
        try:
            url = stack.enter_context(shared_registry(directory))
        except BrokerUnavailable as error:
            missing(f"Apicurio Registry is not here: {error}")
        yield url


@pytest.fixture(scope="session")
def guid_registry_url(registry_url: str) -> Iterator[str]:
    """The URL of a proxy in front of the registry that also answers by GUIDs."""
    with guid_proxy(registry_url) as url:
        yield url


@pytest.fixture
def start_registry() -> Iterator[StartRegistry]:
    """A function that starts a registry for this test alone, which the test may break."""
    with ExitStack() as stack:

        def start() -> Apicurio:
            try:
                registry = Apicurio()
            except BrokerUnavailable as error:
                missing(f"Apicurio Registry is not here: {error}")
            return stack.enter_context(registry)

        yield start
