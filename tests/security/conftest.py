"""The broker with everything on, shared by these tests."""

from collections.abc import Iterator

import pytest

from tests.observing.conftest import untouched_logs
from tests.security.acls import grant, read, read_group, write, write_transactions
from tests.security.secured import USER, Secured, secured
from tests.streaming.conftest import running
from tests.streaming.topics import Topics

__all__ = ["kafka", "running", "topics", "untouched_logs"]


@pytest.fixture(scope="session")
def kafka(
    _apache_kafka_can_be_had: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.fixture
async def topics(kafka: Secured) -> Topics:
    """Where `USER` may do what the worker does, whichever way it came."""
    own = Topics(kafka.kafka.bootstrap_servers)
    await own.create()
    qa, group = own.settings.qa, own.settings.kafka.group_id
    rights = [read(qa.questions_topic), write(qa.answers_topic), write(qa.dead_letters_topic)]
    rights += [read_group(group), write_transactions(f"{group}:")]
    for user in (USER, f"CN={USER}"):
        await grant(own.servers, [right.of(user) for right in rights])
    return own
