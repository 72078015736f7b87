"""What consumer, producer and admin client share: where the brokers are and how to log in."""

import ssl
from typing import Any

from worker.settings import KafkaSettings, SettingsError


def connection_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's clients. Raises `SettingsError` where they cannot work."""
    if not kafka.bootstrap_servers:
        raise SettingsError("KAFKA_BOOTSTRAP_SERVERS is not set; give it host:port of a broker")
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "client_id": kafka.client_id,
        "request_timeout_ms": kafka.request_timeout_ms,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = _trust(kafka)
    if kafka.security_protocol.startswith("SASL"):
        assert kafka.sasl_password is not None  # the settings saw to it
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    return options


def _trust(kafka: KafkaSettings) -> ssl.SSLContext:
    authorities = kafka.ssl_truststore_location
    try:
        return ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except OSError as error:
        raise SettingsError(
            f"KAFKA_SSL_TRUSTSTORE_LOCATION is {str(kafka.ssl_truststore_location)!r}: {error}"
        ) from None
