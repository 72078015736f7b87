"""The options that consumer, producer and admin client share: servers, TLS and login."""

from typing import Any

from worker.kafka.oauth import token_provider
from worker.kafka.tls import ssl_context
from worker.settings import KafkaSettings, SettingsError


def connection_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's clients. Raises `SettingsError`."""
    if not kafka.bootstrap_servers:
        raise SettingsError("KAFKA_BOOTSTRAP_SERVERS is not set; give it host:port of a broker")
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "client_id": kafka.client_id,
        "request_timeout_ms": kafka.request_timeout_ms,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        if kafka.sasl_mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = token_provider(kafka)
        else:
            assert kafka.sasl_password is not None  # validated by KafkaSettings
            options["sasl_plain_username"] = kafka.sasl_username
            options["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    return options
