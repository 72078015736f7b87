"""A broker with TLS, SASL and an authorizer, shared by these tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.observability.conftest import restored_logging
from tests.security.acls import grant
from tests.security.documented import documented
from tests.security.secured import USER, Secured, secured
from tests.streaming.conftest import running
from tests.streaming.topics import Topics

__all__ = ["kafka", "restored_logging", "running", "topics"]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.fixture
async def topics(kafka: Secured) -> AsyncIterator[Topics]:
    """Where `USER` may do what the worker does, whichever way it came."""
    async with Topics(kafka.kafka.bootstrap_servers) as topics:
        await topics.create()
        acls = [
            *documented("run", topics.settings),
            *documented("run, exactly once", topics.settings),
        ]
        await grant(
            topics.servers, *(acl.for_user(user) for acl in acls for user in (USER, f"CN={USER}"))
        )
        yield topics
