"""`KAFKA_CLIENT_RACK` on brokers in three racks (KIP-392): where the questions are fetched from."""

import asyncio

import pytest

from tests.faults.cluster import NODES, RACKS, Cluster
from tests.streaming.conftest import Running, running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.topics import create_topics

__all__ = ["running"]

pytestmark = [
    pytest.mark.alone,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
]

CONTEXT_BYTES = 50_000


async def test_questions_come_from_the_replica_of_the_rack_until_it_dies(
    cluster: Cluster, running: Running
) -> None:
    async with Topics(cluster.servers, partitions=1) as topics:
        await create_topics(topics.settings, partitions=1, replication=NODES)
        await cluster.in_sync(topics.settings.qa.questions_topic)
        leader = await cluster.leader(topics.settings.qa.questions_topic)
        follower = (leader + 1) % NODES
        settings = topics.with_(
            KAFKA_BOOTSTRAP_SERVERS=cluster.servers_of(0), KAFKA_CLIENT_RACK=RACKS[follower]
        )
        proxies = cluster.proxies[0]
        before = [proxy.bytes_to_workers for proxy in proxies]
        async with running(settings, StubEngine()):
            await topics.send(_large(range(40)))
            await until(lambda: topics.has(40), "all are answered")
            fetched = [proxy.bytes_to_workers - n for proxy, n in zip(proxies, before, strict=True)]
            assert fetched[follower] > 40 * CONTEXT_BYTES > 2 * fetched[leader]
            await asyncio.to_thread(cluster.kafka.kill, follower)
            try:
                await topics.send(_large(range(40, 80)))
                await until(lambda: topics.has(80), "all are answered without the follower")
            finally:
                await asyncio.to_thread(cluster.kafka.restart, follower)
        assert sorted(await topics.ids()) == sorted(f"q-{number}" for number in range(80))


def _large(numbers: range) -> list[bytes | None]:
    return [event(number, context="word " * (CONTEXT_BYTES // 5)) for number in numbers]
