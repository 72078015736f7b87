"""The behaviour that the worker needs from a broker, tested on the broker of this run."""

import asyncio
import threading
import uuid

import pytest
from aiokafka import AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CommitFailedError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from tests.brokers.clients import PATIENCE_SECONDS, committed, member, read, until
from tests.brokers.conftest import CreateTopic
from tests.brokers.protocol import Broker


class TestTopics:
    async def test_topic_has_the_partitions_and_configs_of_its_creation(
        self, admin: AIOKafkaAdminClient, create_topic: CreateTopic
    ) -> None:
        topic = await create_topic(3, **{"max.message.bytes": "2048", "retention.ms": "60000"})

        (described,) = await admin.describe_topics([topic])
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (response,) = await admin.describe_configs([resource])

        assert [partition["partition"] for partition in described["partitions"]] == [0, 1, 2]
        ((error, _, _, _, entries),) = response.resources
        config = {entry[0]: entry[1] for entry in entries}
        assert (error, config["max.message.bytes"], config["retention.ms"]) == (0, "2048", "60000")

    async def test_creating_an_existing_topic_is_an_error(
        self, admin: AIOKafkaAdminClient, create_topic: CreateTopic
    ) -> None:
        topic = await create_topic()

        response = await admin.create_topics([NewTopic(topic, 1, 1)])

        assert for_code(response.topic_errors[0][1]) is TopicAlreadyExistsError

    async def test_describe_configs_of_an_unknown_topic_is_an_error(
        self, admin: AIOKafkaAdminClient
    ) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, f"unknown-{uuid.uuid4().hex}")

        (response,) = await admin.describe_configs([resource])

        assert for_code(response.resources[0][0]) is UnknownTopicOrPartitionError

    async def test_describing_an_unknown_topic_does_not_create_it(
        self, broker: Broker, admin: AIOKafkaAdminClient
    ) -> None:
        if broker.name == "external":
            pytest.skip("an external broker may have auto.create.topics.enable=true")
        topic = f"unknown-{uuid.uuid4().hex}"

        await admin.describe_topics([topic])

        assert topic not in await admin.list_topics()


class TestRecords:
    async def test_key_value_and_headers_are_unchanged(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        all_bytes = bytes(range(256))
        sent: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
            (all_bytes, all_bytes, [("a", b"1"), ("b", all_bytes), ("a", b"2")]),
            (None, b"null key", [("null", None), ("empty", b""), ("", b"no name")]),
            (b"null value", None, []),
            (b"", b"", []),
        ]
        async with AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True) as producer:
            for key, value, headers in sent:
                await producer.send_and_wait(
                    partition.topic, value, key, partition.partition, headers=headers
                )

        received = await read(servers, partition, count=len(sent))

        assert [(r.key, r.value, list(r.headers)) for r in received] == sent
        assert [r.offset for r in received] == [0, 1, 2, 3]

    @pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
    async def test_compressed_value_is_unchanged(
        self, servers: str, create_topic: CreateTopic, codec: str
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        async with AIOKafkaProducer(bootstrap_servers=servers, compression_type=codec) as producer:
            await producer.send_and_wait(partition.topic, b"repeated " * 1000)

        (received,) = await read(servers, partition, count=1)

        assert received.value == b"repeated " * 1000

    async def test_records_of_a_partition_are_in_order(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        topic = await create_topic(2)
        async with AIOKafkaProducer(
            bootstrap_servers=servers, enable_idempotence=True, max_batch_size=200
        ) as producer:
            sends = [
                await producer.send(topic, b"%d" % number, partition=number % 2)
                for number in range(500)
            ]
            await asyncio.gather(*sends)

        received = await read(servers, TopicPartition(topic, 1), count=250)

        assert [r.value for r in received] == [b"%d" % number for number in range(1, 500, 2)]

    async def test_record_above_max_message_bytes_is_an_error(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        topic = await create_topic(**{"max.message.bytes": "2000"})
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(topic, b"x" * 2000)
            written = await producer.send_and_wait(topic, b"x" * 1900)

        assert written.offset == 0


class TestGroups:
    async def test_group_without_a_commit_has_no_committed_offset(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)

        assert await committed(servers, "never-seen", partition) is None

    async def test_remaining_member_continues_at_the_committed_offsets(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        topic = await create_topic(4)
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            for number in range(4):
                await producer.send_and_wait(topic, b"question", partition=number)
        stays, leaves = member(servers, topic, topic), member(servers, topic, topic)

        async with stays:
            await until(lambda: len(stays.assignment()) == 4)
            async with asyncio.timeout(PATIENCE_SECONDS), leaves:
                await until(lambda: len(stays.assignment()) == len(leaves.assignment()) == 2)
                moved = leaves.assignment()
                assert moved.isdisjoint(stays.assignment())
                for _ in moved:
                    record = await leaves.getone()
                    done = OffsetAndMetadata(record.offset + 1, "")
                    await leaves.commit({TopicPartition(topic, record.partition): done})
            await until(lambda: len(stays.assignment()) == 4)
            async with asyncio.timeout(PATIENCE_SECONDS):
                remaining = {(await stays.getone()).partition for _ in range(2)}
                positions = {await stays.position(partition) for partition in moved}

        assert remaining == set(range(4)) - {partition.partition for partition in moved}
        assert positions == {1}
        assert {await committed(servers, topic, partition) for partition in moved} == {1}

    async def test_member_without_heartbeats_loses_its_partitions_and_cannot_commit(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        topic = await create_topic()
        partition = TopicPartition(topic, 0)
        joined, lost = threading.Event(), threading.Event()

        async def stop_heartbeats() -> None:
            """Blocks the member's event loop, so its heartbeats stop, until `lost` is set."""
            async with member(servers, topic, topic, session_timeout_ms=1000) as blocked:
                await until(lambda: partition in blocked.assignment())
                joined.set()
                lost.wait(PATIENCE_SECONDS)
                with pytest.raises(CommitFailedError):
                    await blocked.commit({partition: OffsetAndMetadata(7, "")})

        blocked = asyncio.create_task(asyncio.to_thread(asyncio.run, stop_heartbeats()))
        await asyncio.to_thread(joined.wait, PATIENCE_SECONDS)
        async with member(servers, topic, topic) as successor:
            await until(lambda: partition in successor.assignment())
            lost.set()
            await blocked

        assert await committed(servers, topic, partition) is None
