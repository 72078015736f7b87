"""Explained connection errors of brokers that are silent or fenced; rejected logins are in
tests/security.
"""

import socket

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest, MetadataResponse_v5

from tests.brokers.kafka_proxy import Asked, KafkaProxy
from tests.brokers.protocol import Broker
from worker.kafka import diagnostics as module
from worker.kafka.diagnostics import explain_connection_errors
from worker.kafka.kafka_node import free_ports
from worker.kafka.topics import admin_client
from worker.settings.environment import load


async def test_diagnostic_connection_to_a_silent_broker_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DIAGNOSTIC_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        kafka = load(
            {
                "KAFKA_BOOTSTRAP_SERVERS": server,
                "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "KAFKA_SASL_USERNAME": "ada",
                "KAFKA_SASL_PASSWORD": "secret",
            }
        ).kafka
        with pytest.raises(KafkaConnectionError, match=f"{server}: no answer within 0.1 s"):
            async with explain_connection_errors(kafka):
                raise KafkaConnectionError("Unable to bootstrap")


async def test_a_cluster_whose_brokers_are_all_fenced_is_named(broker: Broker) -> None:
    def answer(asked: Asked) -> bytes | None:
        if asked.key != MetadataRequest.API_KEY:
            return None
        assert asked.version == MetadataResponse_v5.API_VERSION
        fenced: bytes = MetadataResponse_v5(0, [], "cluster", -1, []).encode()
        return fenced

    (port,) = free_ports(1)
    async with KafkaProxy(port, lambda versions: versions, answer) as proxy:
        proxy.target = int(broker.bootstrap_servers.rpartition(":")[2])
        kafka = load({"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}).kafka
        with pytest.raises(KafkaConnectionError, match=f"{port} answers, but lists no broker; "):
            async with admin_client(kafka):
                raise AssertionError
