"""The cluster of the fault suite: proxies, coordinators, limits, small disk, evidence."""

import asyncio
import json
import uuid

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from tests.brokers.clients import PATIENCE_SECONDS
from tests.faults import evidence
from tests.faults.cluster import NODES, SMALL_DISK_NODE, Cluster
from tests.faults.evidence import Deleted, Names, Outcome
from tests.faults.questions import answer_with_id

pytestmark = [
    pytest.mark.alone,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
]


@pytest.fixture
def names() -> Names:
    suffix = uuid.uuid4().hex[:8]
    return Names(f"questions-{suffix}", f"answers-{suffix}", f"dead-{suffix}", f"group-{suffix}", 2)


async def created(cluster: Cluster, names: Names) -> None:
    topics = (names.questions, names.answers, names.dead_letters)
    await cluster.create_topics(*topics, partitions=names.partitions)
    await cluster.in_sync(*topics)


async def known_ports(servers: str) -> set[int]:
    """Ports of the brokers in the metadata that a client of `servers` receives."""
    client = AIOKafkaClient(bootstrap_servers=servers)
    try:
        await client.bootstrap()
        return {broker.port for broker in client.cluster.brokers()}
    finally:
        await client.close()


async def test_worker_of_a_slot_sees_only_its_proxies(cluster: Cluster) -> None:
    assert await known_ports(cluster.servers_of(1)) == {p.port for p in cluster.proxies[1]}


async def test_cut_slot_does_not_affect_other_slots_or_the_driver(
    cluster: Cluster,
) -> None:
    for proxy in cluster.proxies[0]:
        proxy.cut()
    try:
        with pytest.raises(KafkaConnectionError):
            await known_ports(cluster.servers_of(0))
        for servers in (cluster.servers, cluster.servers_of(1)):
            assert len(await known_ports(servers)) == NODES
    finally:
        for proxy in cluster.proxies[0]:
            await proxy.restore()


async def test_coordinators_are_spread_over_the_nodes(cluster: Cluster) -> None:
    """By their preferred leaders: after a node was killed, another one leads for minutes."""
    # A topic of coordinators exists from the first request for one.
    assert await cluster.group_coordinator("key") in range(NODES)
    assert await cluster.transaction_coordinator("key") in range(NODES)
    async with cluster.admin() as admin:
        topics = await admin.describe_topics(["__consumer_offsets", "__transaction_state"])
    assert len(topics) == 2
    for topic in topics:
        assert len({partition["replicas"][0] for partition in topic["partitions"]}) > 1


async def test_lowered_limit_rejects_records_until_restored(cluster: Cluster, names: Names) -> None:
    await created(cluster, names)

    async def is_accepted() -> bool:
        async with AIOKafkaProducer(bootstrap_servers=cluster.servers, acks="all") as producer:
            try:
                await producer.send_and_wait(names.answers, b"x" * 10_000)
            except MessageSizeTooLargeError:
                return False
        return True

    # The leader applies the limit some time after the controller has accepted it.
    await cluster.limit_messages(names.answers, 1000)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await is_accepted():
            pass
    await cluster.limit_messages(names.answers, None)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_accepted():
            pass


async def test_cluster_elects_a_new_leader_after_the_leader_is_killed(
    cluster: Cluster, names: Names
) -> None:
    await created(cluster, names)
    leader = await cluster.leader(names.questions)
    async with AIOKafkaProducer(bootstrap_servers=cluster.servers, acks="all") as producer:
        await producer.send_and_wait(names.questions, b"before", partition=0)
        await asyncio.to_thread(cluster.kafka.kill, leader)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                after = await producer.send_and_wait(names.questions, b"after", partition=0)
        finally:
            await asyncio.to_thread(cluster.kafka.restart, leader)
    assert after.offset == 1


async def test_full_disk_ends_its_node_which_restarts_when_freed(
    cluster: Cluster, names: Names
) -> None:
    if cluster.disk is None:
        pytest.skip(cluster.why_no_disk)
    await created(cluster, names)
    async with AIOKafkaProducer(bootstrap_servers=cluster.servers, acks="all") as producer:
        try:
            cluster.disk.fill()
            await producer.send_and_wait(names.questions, b"x" * 100_000)
            await asyncio.to_thread(cluster.kafka.wait_for_end, SMALL_DISK_NODE, PATIENCE_SECONDS)
        finally:
            cluster.disk.free()
            await asyncio.to_thread(cluster.kafka.restart, SMALL_DISK_NODE)
        await producer.send_and_wait(names.questions, b"after")
    await cluster.in_sync(names.questions)


async def test_evidence_shows_an_open_transaction_and_its_end(
    cluster: Cluster, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "_SETTLE_TRIES", 2)  # this transaction does not end by waiting
    await created(cluster, names)
    source = {"topic": names.questions, "partition": 0, "offset": 7}
    answer = {"id": "q-1", "source": source, "answer": "Ada"}
    async with AIOKafkaProducer(
        bootstrap_servers=cluster.servers, transactional_id=names.answers
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(names.answers, json.dumps(answer).encode(), partition=1)
        await producer.send_offsets_to_transaction(
            {TopicPartition(names.questions, 0): 8}, names.group
        )
        during = await evidence.gather(cluster, names, Deleted())
        await producer.abort_transaction()
    after = await evidence.gather(cluster, names, Deleted())

    topics = {partition.rpartition("-")[0] for partition in during.open_transactions}
    assert topics == {names.answers, "__consumer_offsets"}
    assert after.open_transactions == []
    assert after.committed.answers == []
    assert after.uncommitted.answers == [Outcome((0, 7), 1, answer_with_id("q-1", "Ada"))]
