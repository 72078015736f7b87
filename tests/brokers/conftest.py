"""The brokers that the contract is asked of, and where they are known to differ."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.brokers.embedded import EmbeddedKafka, why_no_embedded
from tests.brokers.protocol import Broker

MakeTopic = Callable[..., Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Differences:
    """Where brokers part. A test that needs Apache's side takes the fixture `apache_kafka`."""

    makes_unknown_topics: bool
    """A client that asks about a topic that nobody made brings it into being."""

    evicts_silent_members: bool
    """A member that was killed, or sends no heartbeats, loses its place after its session timeout.
    Without this it keeps its partitions for ever, and every rebalance waits for it for ever."""

    ends_stale_transactions: bool
    """A transaction left open is aborted after its timeout. Without this it holds back every reader
    of committed records until a producer with the same transactional id starts."""


APACHE = Differences(
    makes_unknown_topics=False, evicts_silent_members=True, ends_stale_transactions=True
)
# noida-db 0.2.3: a killed member was still in its group after 90 s, a transaction with a timeout of
# 1 s still open after 75 s.
EMBEDDED = Differences(
    makes_unknown_topics=True, evicts_silent_members=False, ends_stale_transactions=False
)


@pytest.fixture(scope="module", params=["chosen", "embedded"])
def any_broker(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Broker]:
    if request.param == "chosen":
        yield broker
    elif broker.name == "embedded":
        pytest.skip("the chosen broker is the embedded one")
    elif reason := why_no_embedded():
        pytest.skip(reason)
    else:
        with EmbeddedKafka() as embedded:
            yield embedded


@pytest.fixture
def differences(any_broker: Broker) -> Differences:
    return APACHE if any_broker.is_apache else EMBEDDED


@pytest.fixture
def servers(any_broker: Broker) -> str:
    return any_broker.bootstrap_servers


@pytest.fixture
async def admin(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def make_topic(admin: AIOKafkaAdminClient) -> MakeTopic:
    async def make(partitions: int = 1, **config: str) -> str:
        name = f"contract-{uuid.uuid4().hex}"
        made = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
        assert [error for _, error, _ in made.topic_errors] == [0]
        return name

    return make
