"""The options that consumer, producer and admin client share: servers, TLS and login."""

from typing import Any

import aiokafka.client
import aiokafka.conn
from aiokafka.protocol.metadata import MetadataRequest

from worker.kafka._aiokafka import CheckedOAuthAuthenticator
from worker.kafka.oauth import token_provider
from worker.kafka.tls import ssl_context
from worker.settings import KafkaSettings, SettingsError


def _metadata_request(topics: list[str] | None = None) -> MetadataRequest:
    """All clients ask for their topics by name, periodically. With the brokers'
    `auto.create.topics.enable`, such a request creates a topic that was deleted, with the default
    number of partitions.

    No upstream issue found. Remove when the clients have Java's `allow.auto.create.topics`.
    """
    return MetadataRequest(topics, allow_auto_topic_creation=False)


aiokafka.client.MetadataRequest = _metadata_request
aiokafka.conn.OAuthAuthenticator = CheckedOAuthAuthenticator


def connection_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's clients. Raises `SettingsError`."""
    if not kafka.bootstrap_servers:
        raise SettingsError("KAFKA_BOOTSTRAP_SERVERS is not set; give it host:port of a broker")
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "client_id": kafka.client_id,
        "request_timeout_ms": kafka.request_timeout_ms,
        "connections_max_idle_ms": kafka.connections_max_idle_ms,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = "OAUTHBEARER" if kafka.has_token_login else kafka.sasl_mechanism
        if kafka.has_token_login:
            options["sasl_oauth_token_provider"] = token_provider(kafka)
        else:
            assert kafka.sasl_password is not None  # validated by KafkaSettings
            options["sasl_plain_username"] = kafka.sasl_username
            options["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    return options
