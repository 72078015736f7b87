"""BrokerClient's connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection

from tests.brokers.protocol import Broker
from tests.faults.proxy import Proxy
from tests.streaming.topics import until
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.kafka_node import free_ports
from worker.settings.environment import load


@pytest.fixture
async def proxy(broker: Broker) -> AsyncIterator[Proxy]:
    """Before the broker."""
    (port,) = free_ports(1)
    proxy = Proxy(port)
    proxy.target = int(broker.bootstrap_servers.rpartition(":")[2])
    await proxy.start()
    yield proxy
    await proxy.stop()


async def test_stop_after_a_cancelled_start_leaves_no_connection(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load({"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{proxy.port}"})
    client = BrokerClient(client_for_transactions(settings.kafka))
    send, asked = AIOKafkaConnection.send, asyncio.Event()

    def send_and_stall(connection: Any, request: Any, **options: Any) -> Any:
        if "Metadata" in type(request).__name__:
            proxy.stall()
            asked.set()
        return send(connection, request, **options)

    monkeypatch.setattr(AIOKafkaConnection, "send", send_and_stall)
    starting = asyncio.create_task(client.start())
    await asked.wait()
    assert proxy.connections == 1
    starting.cancel()
    await asyncio.wait([starting])
    await proxy.restore()
    await client.stop()
    await until(lambda: proxy.connections == 0, "the client has closed its connection")
