"""Explained connection errors of a silent broker; rejected logins are in tests/security."""

import socket

import pytest
from aiokafka.errors import KafkaConnectionError

from worker.kafka import diagnostics as module
from worker.kafka.diagnostics import explain_connection_errors
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
