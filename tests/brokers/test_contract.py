"""What the worker needs of a broker, asked of the one that this run has chosen."""

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
from tests.brokers.conftest import MakeTopic
from tests.brokers.protocol import Broker


class TestTopics:
    async def test_a_topic_has_the_partitions_and_the_config_it_was_made_with(
        self, admin: AIOKafkaAdminClient, make_topic: MakeTopic
    ) -> None:
        topic = await make_topic(3, **{"max.message.bytes": "2048", "retention.ms": "60000"})

        (described,) = await admin.describe_topics([topic])
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])

        assert [partition["partition"] for partition in described["partitions"]] == [0, 1, 2]
        ((error, _, _, _, entries),) = answer.resources
        config = {entry[0]: entry[1] for entry in entries}
        assert (error, config["max.message.bytes"], config["retention.ms"]) == (0, "2048", "60000")

    async def test_a_topic_cannot_be_made_twice(
        self, admin: AIOKafkaAdminClient, make_topic: MakeTopic
    ) -> None:
        topic = await make_topic()

        again = await admin.create_topics([NewTopic(topic, 1, 1)])

        assert for_code(again.topic_errors[0][1]) is TopicAlreadyExistsError

    async def test_the_config_of_an_unknown_topic_is_an_error(
        self, admin: AIOKafkaAdminClient
    ) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, f"unknown-{uuid.uuid4().hex}")

        (answer,) = await admin.describe_configs([resource])

        assert for_code(answer.resources[0][0]) is UnknownTopicOrPartitionError

    async def test_an_unknown_topic_stays_unknown_when_asked_about(
        self, broker: Broker, admin: AIOKafkaAdminClient
    ) -> None:
        if broker.name == "external":
            pytest.skip("an external broker may have auto.create.topics.enable=true")
        topic = f"unknown-{uuid.uuid4().hex}"

        await admin.describe_topics([topic])

        assert topic not in await admin.list_topics()


class TestRecords:
    async def test_bytes_come_back_unchanged(self, servers: str, make_topic: MakeTopic) -> None:
        partition = TopicPartition(await make_topic(), 0)
        anything = bytes(range(256))
        sent: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
            (anything, anything, [("a", b"1"), ("b", anything), ("a", b"2")]),
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
    async def test_compressed_records_come_back(
        self, servers: str, make_topic: MakeTopic, codec: str
    ) -> None:
        partition = TopicPartition(await make_topic(), 0)
        async with AIOKafkaProducer(bootstrap_servers=servers, compression_type=codec) as producer:
            await producer.send_and_wait(partition.topic, b"again and " * 1000)

        (received,) = await read(servers, partition, count=1)

        assert received.value == b"again and " * 1000

    async def test_a_partition_keeps_its_order(self, servers: str, make_topic: MakeTopic) -> None:
        topic = await make_topic(2)
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

    async def test_a_record_over_the_topics_limit_is_refused(
        self, servers: str, make_topic: MakeTopic
    ) -> None:
        topic = await make_topic(**{"max.message.bytes": "2000"})
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(topic, b"x" * 2000)
            kept = await producer.send_and_wait(topic, b"x" * 1900)

        assert kept.offset == 0


class TestGroups:
    async def test_a_group_that_has_committed_nothing_has_no_offset(
        self, servers: str, make_topic: MakeTopic
    ) -> None:
        partition = TopicPartition(await make_topic(), 0)

        assert await committed(servers, "never-seen", partition) is None

    async def test_two_members_share_a_topic_and_one_goes_on_where_the_other_left(
        self, servers: str, make_topic: MakeTopic
    ) -> None:
        topic = await make_topic(4)
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            for number in range(4):
                await producer.send_and_wait(topic, b"question", partition=number)
        stays, leaves = member(servers, topic, topic), member(servers, topic, topic)

        async with stays:
            await until(lambda: len(stays.assignment()) == 4)
            async with asyncio.timeout(PATIENCE_SECONDS), leaves:
                await until(lambda: len(stays.assignment()) == len(leaves.assignment()) == 2)
                theirs = leaves.assignment()
                assert theirs.isdisjoint(stays.assignment())
                for _ in theirs:
                    record = await leaves.getone()
                    done = OffsetAndMetadata(record.offset + 1, "")
                    await leaves.commit({TopicPartition(topic, record.partition): done})
            await until(lambda: len(stays.assignment()) == 4)
            async with asyncio.timeout(PATIENCE_SECONDS):
                left_to_read = {(await stays.getone()).partition for _ in range(2)}
                positions = {await stays.position(partition) for partition in theirs}

        assert left_to_read == set(range(4)) - {partition.partition for partition in theirs}
        assert positions == {1}
        assert {await committed(servers, topic, partition) for partition in theirs} == {1}

    async def test_a_member_that_fell_silent_loses_its_partitions_and_cannot_commit(
        self, servers: str, make_topic: MakeTopic
    ) -> None:
        topic = await make_topic()
        partition = TopicPartition(topic, 0)
        joined, lost = threading.Event(), threading.Event()

        async def fall_silent() -> None:
            """Holds up its own event loop, and with it the heartbeats, until it has lost."""
            async with member(servers, topic, topic, session_timeout_ms=1000) as silent:
                await until(lambda: partition in silent.assignment())
                joined.set()
                lost.wait(PATIENCE_SECONDS)
                with pytest.raises(CommitFailedError):
                    await silent.commit({partition: OffsetAndMetadata(7, "")})

        silent = asyncio.create_task(asyncio.to_thread(asyncio.run, fall_silent()))
        await asyncio.to_thread(joined.wait, PATIENCE_SECONDS)
        async with member(servers, topic, topic) as heir:
            await until(lambda: partition in heir.assignment())
            lost.set()
            await silent

        assert await committed(servers, topic, partition) is None
