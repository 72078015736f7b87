"""`ApacheKafka` and the faults that it injects: SIGKILL, clean end, suspension, restart."""

import asyncio
import os
import socket
import tempfile
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from tests.brokers.clients import PATIENCE_SECONDS, read
from tests.brokers.fixtures import StartApacheKafka
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.kafka.kafka_node import free_ports

pytestmark = pytest.mark.process

TOPIC = "kept"


async def create_topic(servers: str, replicas: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, replicas)])
    await admin.close()


async def test_restarted_node_has_the_records_acknowledged_before_sigkill(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka()
    await create_topic(kafka.bootstrap_servers)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        before = kafka.pid()
        await producer.send_and_wait(TOPIC, b"before")

        await asyncio.to_thread(kafka.kill)
        await asyncio.to_thread(kafka.restart)

        async with asyncio.timeout(PATIENCE_SECONDS):
            await producer.send_and_wait(TOPIC, b"after")
    received = await read(kafka.bootstrap_servers, TopicPartition(TOPIC, 0), count=2)

    assert [record.value for record in received] == [b"before", b"after"]
    assert kafka.pid() != before


async def test_terminated_node_restarts_with_the_same_properties(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka(properties={"message.max.bytes": "1000"})
    await create_topic(kafka.bootstrap_servers)
    before = kafka.pid()

    await asyncio.to_thread(kafka.terminate)
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    await asyncio.to_thread(kafka.restart)

    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(TOPIC, b"x" * 1000)


async def test_suspended_node_answers_after_resume(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka()
    await create_topic(kafka.bootstrap_servers)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(TOPIC, b"before")

        kafka.suspend()
        sending = asyncio.create_task(producer.send_and_wait(TOPIC, b"meanwhile"))
        # A running node answers in 5 ms.
        _, waiting = await asyncio.wait([sending], timeout=0.5)
        assert waiting
        kafka.resume()

        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await sending).offset == 1


async def test_cluster_elects_a_new_leader_after_the_leader_is_killed(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka(nodes=3)
    await create_topic(kafka.bootstrap_servers, replicas=3)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(TOPIC, b"before")
        leader = producer.client.cluster.leader_for_partition(TopicPartition(TOPIC, 0))

        await asyncio.to_thread(kafka.kill, leader)

        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await producer.send_and_wait(TOPIC, b"after")).offset == 1
        await asyncio.to_thread(kafka.restart, leader)


def test_stop_removes_process_and_files(
    start_apache_kafka: StartApacheKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kafka = start_apache_kafka()
    running = kafka.pid()
    assert list(tmp_path.iterdir()) != []

    kafka.stop()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(running, 0)


def test_failed_start_reports_the_reason(start_apache_kafka: StartApacheKafka) -> None:
    port, controller = free_ports(2)
    with socket.create_server(("127.0.0.1", port)):
        properties = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "controller.quorum.voters": f"0@127.0.0.1:{controller}",
        }
        with pytest.raises(BrokerUnavailable, match="Address already in use"):
            start_apache_kafka(properties=properties)


def test_invalid_property_is_named(start_apache_kafka: StartApacheKafka) -> None:
    with pytest.raises(BrokerUnavailable, match=r"many for configuration num\.io\.threads"):
        start_apache_kafka(properties={"num.io.threads": "many"})
