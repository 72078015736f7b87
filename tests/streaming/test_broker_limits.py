"""Start of a worker whose settings the brokers reject: one line names setting and property."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.brokers.apache import ApacheKafka, Listener
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.test_supervisor import supervisor
from tests.streaming.topics import Topics
from worker.kafka.errors import StreamingError
from worker.kafka.kafka_node import free_ports

pytestmark = pytest.mark.broker

LIMITS = {
    "group.max.size": "1",
    "group.min.session.timeout.ms": "2000",
    "transaction.max.timeout.ms": "60000",
}
[DEAD_PORT] = free_ports(1)


@pytest.fixture(scope="module")
def limited() -> Iterator[ApacheKafka]:
    elsewhere = Listener("ELSEWHERE", [DEAD_PORT])
    with ApacheKafka(properties=LIMITS, listeners=[elsewhere]) as kafka:
        yield kafka


@pytest.fixture
async def topics(limited: ApacheKafka) -> AsyncIterator[Topics]:
    async with Topics(limited.bootstrap_servers, {"KAFKA_SESSION_TIMEOUT_MS": "6000"}) as topics:
        await topics.create()
        yield topics


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"KAFKA_SESSION_TIMEOUT_MS": "1500"}, r"KAFKA_SESSION_TIMEOUT_MS .*group\.min\.session"),
        ({"KAFKA_TRANSACTION_TIMEOUT_MS": "90000"}, r"KAFKA_TRANSACTION_.*transaction\.max\.time"),
    ],
)
async def test_rejected_timeout(topics: Topics, environment: dict[str, str], expected: str) -> None:
    with pytest.raises(StreamingError, match=expected):
        await asyncio.wait_for(supervisor(topics.with_(**environment)).run(asyncio.Event()), 30)


async def test_full_group(topics: Topics, running: Running) -> None:
    async with running(topics.settings, StubEngine()):
        with pytest.raises(StreamingError, match=r"group\.max\.size allows; run fewer workers"):
            await asyncio.wait_for(supervisor(topics.settings).run(asyncio.Event()), 30)


async def test_advertised_listeners_that_cannot_be_reached(
    limited: ApacheKafka, topics: Topics
) -> None:
    bootstrap = f"127.0.0.1:{limited.port('ELSEWHERE', 0)}"
    settings = topics.with_(KAFKA_BOOTSTRAP_SERVERS=bootstrap)
    expected = rf"{bootstrap} answers, but names its brokers as 127\.0\.0\.1:{DEAD_PORT} .*advert"
    with pytest.raises(StreamingError, match=expected):
        await asyncio.wait_for(supervisor(settings).run(asyncio.Event()), 30)
