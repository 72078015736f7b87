"""`KAFKA_CLIENT_RACK` on brokers in three racks (KIP-392): where the questions are fetched from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.brokers.apache import ApacheKafka, Listener
from tests.faults.proxy import Proxy
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.kafka_node import free_ports
from worker.kafka.topics import create_topics

pytestmark = [pytest.mark.broker, pytest.mark.process]

RACKS = ("a", "b", "c")
SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
CONTEXT_BYTES = 50_000


@dataclass(frozen=True, slots=True)
class Racks:
    """A node in each rack, and the proxy of each through which workers connect."""

    kafka: ApacheKafka
    proxies: list[Proxy]

    @property
    def servers(self) -> str:
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)

    def fetched(self, node: int) -> int:
        """Bytes that a worker has received from the node."""
        return self.proxies[node].bytes_to_workers

    async def leader(self, topic: str) -> int:
        """Node id of the leader of the topic's first partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        partitions: list[dict[str, int]] = []

        async def described() -> bool:
            # The node that is asked may learn of a new topic later than the controller.
            (answer,) = await admin.describe_topics([topic])
            partitions[:] = answer["partitions"]
            return bool(partitions) and partitions[0]["leader"] >= 0

        await admin.start()
        try:
            await until(described, f"{topic} has a leader")
        finally:
            await admin.close()
        return partitions[0]["leader"]


@pytest.fixture
async def racks() -> AsyncIterator[Racks]:
    ports = free_ports(len(RACKS))
    kafka = ApacheKafka(
        len(RACKS),
        {"replica.selector.class": SELECTOR, "replica.fetch.wait.max.ms": "100"},
        [Listener("RACKS", ports)],
        racks=RACKS,
    )
    proxies = [Proxy(port) for port in ports]
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(kafka.start)
        stack.push_async_callback(asyncio.to_thread, kafka.stop)
        for node, proxy in enumerate(proxies):
            proxy.target = kafka.port("RACKS", node)
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        yield Racks(kafka, proxies)


async def test_questions_come_from_the_replica_of_the_rack_until_it_dies(
    racks: Racks, running: Running
) -> None:
    async with Topics(racks.kafka.bootstrap_servers, partitions=1) as topics:
        await create_topics(topics.settings, partitions=1, replication=len(RACKS))
        leader = await racks.leader(topics.settings.qa.questions_topic)
        follower = (leader + 1) % len(RACKS)
        settings = topics.with_(
            KAFKA_BOOTSTRAP_SERVERS=racks.servers, KAFKA_CLIENT_RACK=RACKS[follower]
        )
        async with running(settings, StubEngine()):
            await topics.send(_large(range(40)))
            await until(lambda: topics.has(40), "all are answered")
            assert racks.fetched(follower) > 40 * CONTEXT_BYTES > 2 * racks.fetched(leader)
            await asyncio.to_thread(racks.kafka.kill, follower)
            await topics.send(_large(range(40, 80)))
            await until(lambda: topics.has(80), "all are answered without the follower")
        assert sorted(await topics.ids()) == sorted(f"q-{number}" for number in range(80))


def _large(numbers: range) -> list[bytes | None]:
    return [event(number, context="word " * (CONTEXT_BYTES // 5)) for number in numbers]
