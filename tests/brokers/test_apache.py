"""`ApacheKafka` and the faults that it injects: SIGKILL, clean end, suspension, restart."""

import asyncio
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from tests.brokers import apache
from tests.brokers.apache import ApacheKafka
from tests.brokers.clients import PATIENCE_SECONDS, read
from tests.brokers.fixtures import StartApacheKafka
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.kafka.kafka_node import free_ports

pytestmark = pytest.mark.process

MAX_BYTES = 1000


@pytest.fixture(scope="module")
def node() -> Iterator[ApacheKafka]:
    """A node that each test leaves running."""
    with ApacheKafka(properties={"message.max.bytes": str(MAX_BYTES)}) as kafka:
        yield kafka


async def create_topic(servers: str) -> str:
    """Creates a topic. Returns its name."""
    name = f"kept-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    return name


async def test_restarted_node_has_the_records_acknowledged_before_sigkill(
    node: ApacheKafka,
) -> None:
    topic = await create_topic(node.bootstrap_servers)
    async with AIOKafkaProducer(bootstrap_servers=node.bootstrap_servers) as producer:
        before = node.pid()
        await producer.send_and_wait(topic, b"before")

        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.restart)

        async with asyncio.timeout(PATIENCE_SECONDS):
            await producer.send_and_wait(topic, b"after")
    received = await read(node.bootstrap_servers, TopicPartition(topic, 0), count=2)

    assert [record.value for record in received] == [b"before", b"after"]
    assert node.pid() != before


async def test_terminated_node_restarts_with_the_same_properties(
    node: ApacheKafka,
) -> None:
    topic = await create_topic(node.bootstrap_servers)
    before = node.pid()

    await asyncio.to_thread(node.terminate)
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    await asyncio.to_thread(node.restart)

    async with AIOKafkaProducer(bootstrap_servers=node.bootstrap_servers) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * MAX_BYTES)


async def test_suspended_node_answers_after_resume(
    node: ApacheKafka,
) -> None:
    topic = await create_topic(node.bootstrap_servers)
    async with AIOKafkaProducer(bootstrap_servers=node.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"before")

        node.suspend()
        sending = asyncio.create_task(producer.send_and_wait(topic, b"meanwhile"))
        # A running node answers in 5 ms.
        _, waiting = await asyncio.wait([sending], timeout=0.5)
        assert waiting
        node.resume()

        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await sending).offset == 1


def test_stop_removes_process_and_files(
    start_apache_kafka: StartApacheKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apache, "MEMORY", tmp_path)
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
