"""The options for aiokafka's clients. tests/security shows that brokers accept them."""

import ssl
from pathlib import Path

import pytest

from worker.kafka.connection import connection_options
from worker.settings import SettingsError
from worker.settings.environment import load


def options(**environment: str) -> dict[str, object]:
    return connection_options(load({"KAFKA_BOOTSTRAP_SERVERS": "a:1, b:2", **environment}).kafka)


def test_plaintext_needs_bootstrap_servers_only() -> None:
    given = options()
    assert given["bootstrap_servers"] == ["a:1", "b:2"]
    assert given["security_protocol"] == "PLAINTEXT"
    assert "ssl_context" not in given
    assert "sasl_mechanism" not in given


def test_idle_connections_are_closed_before_a_load_balancer_drops_them() -> None:
    assert options()["connections_max_idle_ms"] == 540_000
    assert options(KAFKA_CONNECTIONS_MAX_IDLE_MS="180000")["connections_max_idle_ms"] == 180_000


def test_missing_bootstrap_servers_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        connection_options(load({}).kafka)


def test_sasl_password_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    given = options(
        KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        KAFKA_SASL_MECHANISM="SCRAM-SHA-512",
        KAFKA_SASL_USERNAME="worker",
        KAFKA_SASL_PASSWORD_FILE=str(secret),
    )
    assert given["sasl_mechanism"] == "SCRAM-SHA-512"
    assert given["sasl_plain_username"] == "worker"
    assert given["sasl_plain_password"] == "s3cret"
    context = given["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_missing_truststore_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KAFKA_SSL_TRUSTSTORE_LOCATION"):
        options(
            KAFKA_SECURITY_PROTOCOL="SSL",
            KAFKA_SSL_TRUSTSTORE_LOCATION=str(tmp_path / "nothing.pem"),
        )
