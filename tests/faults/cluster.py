"""Three Apache Kafka nodes, with proxies between each worker and each node.

The driver and the connections between nodes bypass the proxies.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from tests.brokers.apache import ApacheKafka, Listener
from tests.brokers.quotas import set_quota
from tests.faults.disk import SmallDisk
from tests.faults.proxy import Proxy
from tests.kafka.raw_batches import produce
from worker.kafka.kafka_node import free_ports

NODES = 3
RACKS = ("a", "b", "c")
"""By node."""
SMALL_DISK_NODE = NODES - 1

TIMEOUT_SECONDS = 60.0
"""For requests that take 2 s on a healthy cluster and 10 s after a rolling restart."""

_GROUP, _TRANSACTION = 0, 1
"""Coordinator types of FindCoordinator."""

OFFSETS_PARTITIONS = 3
"""Partitions of `__consumer_offsets`."""

_PROPERTIES = {
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    # Coordinators are spread over the nodes.
    "offsets.topic.num.partitions": str(OFFSETS_PARTITIONS),
    "transaction.state.log.num.partitions": "3",
    "controlled.shutdown.max.retries": "1",
    # Nodes are killed every few seconds, so they recover little at each start.
    "num.recovery.threads.per.data.dir": "1",
    "num.replica.fetchers": "1",
    "replica.lag.time.max.ms": "5000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    # Clients that name their rack fetch from the follower there.
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
}


class Cluster:
    """`async with Cluster(slots=4) as cluster`. Each slot has proxies for one worker."""

    def __init__(self, slots: int) -> None:
        ports = free_ports(slots * NODES)
        self.proxies = [
            [Proxy(port) for port in ports[slot * NODES : (slot + 1) * NODES]]
            for slot in range(slots)
        ]
        """By slot, then by node."""
        self.disk, self.why_no_disk = _small_disk()
        self.kafka = ApacheKafka(
            NODES,
            _PROPERTIES,
            listeners=[
                Listener(_listener(slot), [proxy.port for proxy in proxies])
                for slot, proxies in enumerate(self.proxies)
            ],
            data={SMALL_DISK_NODE: self.disk.path / "data"} if self.disk else {},
            racks=RACKS,
        )

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.kafka.start)
        for slot, proxies in enumerate(self.proxies):
            for node, proxy in enumerate(proxies):
                proxy.target = self.kafka.port(_listener(slot), node)
                await proxy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for proxies in self.proxies:
            for proxy in proxies:
                await proxy.stop()
        await asyncio.to_thread(self.kafka.stop)
        if self.disk:
            self.disk.remove()

    @property
    def servers(self) -> str:
        """Bootstrap servers of the driver, without proxies."""
        return self.kafka.bootstrap_servers

    def servers_of(self, slot: int) -> str:
        """Bootstrap servers of the slot's worker: its proxies."""
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies[slot])

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        client = AIOKafkaAdminClient(bootstrap_servers=self.servers, request_timeout_ms=5000)
        try:
            await client.start()
            yield client
        finally:
            await client.close()

    async def group_coordinator(self, group: str) -> int:
        return await self._coordinator(group, _GROUP)

    async def transaction_coordinator(self, transactional_id: str) -> int:
        return await self._coordinator(transactional_id, _TRANSACTION)

    async def create_topics(self, *names: str, partitions: int) -> None:
        new = [NewTopic(name, partitions, NODES) for name in names]

        async def create() -> bool:
            async with self.admin() as admin:
                response = await admin.create_topics(new)
            codes = {for_code(code) for _, code, *_ in response.topic_errors}
            return all(not c.errno or c is TopicAlreadyExistsError for c in codes)

        await until(create, f"topics {names} created")

    async def delete_topics(self, *names: str) -> None:
        """Old topics would make restarts of nodes slower and fill the small disk."""

        async def delete() -> bool:
            async with self.admin() as admin:
                response = await admin.delete_topics(list(names))
            codes = {for_code(code) for _, code in response.topic_error_codes}
            return all(not c.errno or c is UnknownTopicOrPartitionError for c in codes)

        await until(delete, f"topics {names} deleted")

    async def limit_messages(self, topic: str, max_bytes: int | None) -> None:
        """Set `max.message.bytes` of a topic; `None` restores the default."""
        entries = {} if max_bytes is None else {"max.message.bytes": str(max_bytes)}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=entries)

        async def alter() -> bool:
            async with self.admin() as admin:
                answers = await admin.alter_configs([resource])
            return all(not code for answer in answers for code, *_ in answer.resources)

        await until(alter, f"max.message.bytes of {topic} set")

    async def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Delete a partition's records before `offset`. Raises `KafkaError`."""
        async with self.admin() as admin:
            await admin.delete_records({partition: RecordsToDelete(offset)}, timeout_ms=5000)

    async def limit_rate(self, client_id: str, bytes_per_second: float | None) -> None:
        """Set the quota on what clients of this id produce; `None` removes it."""

        async def alter() -> bool:
            await set_quota(self.servers, client_id, producer_byte_rate=bytes_per_second)
            return True

        await until(alter, f"quota of {client_id} set")

    async def produce(self, topic: str, partition: int, batch: bytes) -> None:
        """Send a batch as it is. Brokers that are down meanwhile may receive it twice."""

        async def send() -> bool:
            await produce(self.servers, topic, partition, batch)
            return True

        await until(send, f"a batch sent to {topic}")

    async def in_sync(self, *topics: str) -> None:
        """Wait until every partition of these topics has all its replicas in sync."""

        async def complete() -> bool:
            async with self.admin() as admin:
                described = await admin.describe_topics(list(topics))
            return all(
                len(partition["isr"]) == NODES and partition["leader"] >= 0
                for topic in described
                for partition in topic["partitions"]
            )

        await until(complete, f"{', '.join(topics)} in sync")

    async def leader(self, topic: str) -> int:
        """Node id of the leader of the topic's first partition. Raises `KafkaError`."""
        async with self.admin() as admin:
            (described,) = await admin.describe_topics([topic])
        leader: int = min(described["partitions"], key=lambda each: each["partition"])["leader"]
        return leader

    async def _coordinator(self, key: str, kind: int) -> int:
        found: list[int] = []

        async def find() -> bool:
            async with self.admin() as admin:
                found.append(await admin.find_coordinator(key, kind))
            return True

        await until(find, f"a coordinator of {key}")
        return found[0]


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Repeat `condition` until it is true; brokers that are down raise errors meanwhile."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                with suppress(KafkaError, OSError):
                    if await condition():
                        return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise TimeoutError(f"not within {TIMEOUT_SECONDS:g} s: {what}") from None


def _listener(slot: int) -> str:
    return f"SLOT{slot}"


def _small_disk() -> tuple[SmallDisk | None, str]:
    """The disk, or `None` and the reason."""
    try:
        return SmallDisk(), ""
    except OSError as error:
        return None, str(error)
