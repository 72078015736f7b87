"""Fixtures: a broker with TLS, SASL and an authorizer, and topics with the documented ACLs."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from tests.brokers.shared import directory_of_run, shared
from tests.observability.conftest import restored_logging
from tests.security.acls import grant
from tests.security.documented_acls import documented_acls
from tests.security.secure_broker import USER, SecureBroker, secure_broker
from tests.streaming.conftest import running
from tests.streaming.topics import Topics

__all__ = ["kafka", "restored_logging", "running", "topics"]


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureBroker]:
    """One for all processes of the run. Tests have topics of their own."""

    @contextmanager
    def start() -> Iterator[str]:
        with secure_broker(tmp_path_factory.mktemp("secure_broker")) as broker:
            yield json.dumps(asdict(broker))

    directory = directory_of_run(request.config, tmp_path_factory)
    with shared(directory, "secure-broker", start) as text:
        yield SecureBroker(**json.loads(text))


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
