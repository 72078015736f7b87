"""The behaviour of transactions that exactly-once delivery needs from a broker."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced

from tests.brokers.clients import PATIENCE_SECONDS, committed, read
from tests.brokers.conftest import CreateTopic


class TestTransactions:
    async def test_read_committed_skips_aborted_records(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        async with AIOKafkaProducer(
            bootstrap_servers=servers, transactional_id=partition.topic
        ) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(partition.topic, b"aborted")
            await producer.abort_transaction()
            await producer.begin_transaction()
            await producer.send_and_wait(partition.topic, b"committed")
            await producer.commit_transaction()

        uncommitted = await read(servers, partition, count=2)
        (record,) = await read(servers, partition, count=1, isolation="read_committed")

        assert [r.value for r in uncommitted] == [b"aborted", b"committed"]
        # The marker at the end of a transaction has an offset too: offsets do not count records.
        assert (record.value, record.offset) == (b"committed", 2)

    async def test_read_committed_stops_at_an_open_transaction(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        async with (
            AIOKafkaProducer(bootstrap_servers=servers) as plain,
            AIOKafkaProducer(
                bootstrap_servers=servers, transactional_id=partition.topic
            ) as producer,
        ):
            await producer.begin_transaction()
            await producer.send_and_wait(partition.topic, b"open")
            await plain.send_and_wait(partition.topic, b"after")
            reading = asyncio.create_task(
                read(servers, partition, count=2, isolation="read_committed")
            )
            # When a read_uncommitted consumer has both records, the other one has had the time.
            await read(servers, partition, count=2)
            assert not reading.done()
            await producer.commit_transaction()
            received = await reading

        assert [r.value for r in received] == [b"open", b"after"]

    async def test_offsets_are_committed_only_with_their_transaction(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        group = partition.topic
        async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=group) as producer:
            await producer.begin_transaction()
            await producer.send_offsets_to_transaction({partition: 5}, group)
            await producer.abort_transaction()
            after_abort = await committed(servers, group, partition)
            await producer.begin_transaction()
            await producer.send_offsets_to_transaction({partition: 7}, group)
            await producer.commit_transaction()

        assert after_abort is None
        # The coordinator answers before its markers have reached the group's partition.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (at := await committed(servers, group, partition)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert at == 7

    async def test_newer_producer_fences_the_older_and_aborts_its_transaction(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        topic = group = partition.topic
        older = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic)
        async with older:
            await older.begin_transaction()
            await older.send_and_wait(topic, b"older")
            await older.send_offsets_to_transaction({partition: 5}, group)
            async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic) as newer:
                assert await committed(servers, group, partition) is None
                with pytest.raises(ProducerFenced):
                    await older.send_and_wait(topic, b"zombie")
                await newer.begin_transaction()
                await newer.send_and_wait(topic, b"newer")
                await newer.commit_transaction()

        (record,) = await read(servers, partition, count=1, isolation="read_committed")
        assert record.value == b"newer"
        assert await committed(servers, group, partition) is None

    async def test_fenced_producer_cannot_commit_offsets(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        group = partition.topic
        async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=group) as older:
            await older.begin_transaction()
            async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=group):
                with pytest.raises(ProducerFenced):
                    await older.send_offsets_to_transaction({partition: 5}, group)

        assert await committed(servers, group, partition) is None

    async def test_open_transaction_is_aborted_after_its_timeout(
        self, servers: str, create_topic: CreateTopic
    ) -> None:
        partition = TopicPartition(await create_topic(), 0)
        async with (
            AIOKafkaProducer(bootstrap_servers=servers) as plain,
            AIOKafkaProducer(
                bootstrap_servers=servers,
                transactional_id=partition.topic,
                transaction_timeout_ms=100,
            ) as producer,
        ):
            await producer.begin_transaction()
            await producer.send_and_wait(partition.topic, b"open")
            await plain.send_and_wait(partition.topic, b"after")

            (record,) = await read(servers, partition, count=1, isolation="read_committed")

        assert record.value == b"after"
