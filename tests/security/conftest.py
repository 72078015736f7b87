"""Fixtures: a broker with TLS, SASL and an authorizer, and topics with the documented ACLs."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.observability.conftest import restored_logging
from tests.security.acls import grant
from tests.security.documented_acls import documented_acls
from tests.security.secure_broker import USER, SecureBroker, secure_broker
from tests.streaming.conftest import running
from tests.streaming.topics import Topics

__all__ = ["kafka", "restored_logging", "running", "topics"]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with secure_broker(tmp_path_factory.mktemp("secure_broker")) as broker:
        yield broker


@pytest.fixture
async def topics(kafka: SecureBroker) -> AsyncIterator[Topics]:
    """New topics, with the worker's ACLs for `USER`, for logins by password and certificate."""
    async with Topics(kafka.bootstrap_servers) as topics:
        await topics.create()
        acls = [
            *documented_acls("run", topics.settings),
            *documented_acls("run, exactly once", topics.settings),
        ]
        await grant(
            topics.servers, *(acl.for_user(user) for acl in acls for user in (USER, f"CN={USER}"))
        )
        yield topics
