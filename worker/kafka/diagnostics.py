"""Explains why no connection can be made: aiokafka logs the cause and raises only the fact."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import get_ip_port_afi
from aiokafka.errors import KafkaConnectionError, KafkaError

from worker.kafka._aiokafka import DiagnosticConnection, advertised_brokers
from worker.kafka.connection import connection_options
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.settings import KafkaSettings

DIAGNOSTIC_TIMEOUT_SECONDS = 3.0
"""For the diagnostic connection to each broker. Short, so that it does not delay reconnecting."""


@asynccontextmanager
async def explain_connection_errors(kafka: KafkaSettings) -> AsyncIterator[None]:
    """Raises a `KafkaConnectionError` of the block again, with its cause; raises `StreamingError`
    if a broker rejects the login.
    """
    try:
        yield
    except KafkaConnectionError as raised:
        if error := await find_connection_error(kafka):
            raise error from raised
        raise


async def require_advertised_broker(kafka: KafkaSettings, admin: AIOKafkaAdminClient) -> None:
    """Raises `KafkaConnectionError` if no broker can be reached where the brokers say they are.

    A client uses the bootstrap servers only to learn these addresses (`advertised.listeners`).
    """
    ready, brokers = await advertised_brokers(admin)
    if ready:
        return
    reason = ""
    for host, port in brokers:
        error = await _connection_error(kafka, host, port)
        if error is None:
            return
        reason = error.args[0]
    if not brokers:
        raise KafkaConnectionError(
            f"{kafka.bootstrap_servers} answers, but lists no broker; the brokers are starting, or "
            f"the controller has fenced them"
        )
    named = ", ".join(f"{host}:{port}" for host, port in brokers)
    raise KafkaConnectionError(
        f"{kafka.bootstrap_servers} answers, but names its brokers as {named} (their "
        f"advertised.listeners), where this machine cannot connect: {reason}"
    )


async def find_connection_error(kafka: KafkaSettings) -> Exception | None:
    """Connect to each bootstrap server, with certificates read from their files. Returns the first
    rejected login, a `StreamingError`, else the last server's error; None if a connection succeeds.
    Raises `SettingsError`.
    """
    found: Exception | None = None
    for server in connection_options(kafka)["bootstrap_servers"]:
        host, port, _ = get_ip_port_afi(server)
        found = await _connection_error(kafka, host, port)
        if found is None or isinstance(found, StreamingError):
            return found
    return found


async def _connection_error(kafka: KafkaSettings, host: str, port: int) -> Exception | None:
    """Connect to one broker. Returns `StreamingError` for a rejected login, `KafkaConnectionError`
    for any other error, None for none.
    """
    options = connection_options(kafka)
    del options["bootstrap_servers"], options["connections_max_idle_ms"]
    server = f"{host}:{port}"
    connection = DiagnosticConnection(host, port, **options)
    found: Exception | None = None
    try:
        async with asyncio.timeout(DIAGNOSTIC_TIMEOUT_SECONDS):
            await connection.connect()
    except TimeoutError:
        found = KafkaConnectionError(f"{server}: no answer within {DIAGNOSTIC_TIMEOUT_SECONDS:g} s")
    except (KafkaError, OSError) as error:
        if recovery_for(error) is Recovery.FATAL:
            login = f"{kafka.security_protocol}, {kafka.sasl_mechanism}"
            found = StreamingError(f"{server} rejects the login ({login}): {format_error(error)}")
        else:
            found = KafkaConnectionError(f"{server}: {_explain(error, kafka)}")
    finally:
        await connection.close_if_open()
    return found


def _explain(error: BaseException, kafka: KafkaSettings) -> str:
    cause = error.__cause__ or error
    message = format_error(cause)
    if isinstance(cause, ssl.SSLError):
        return f"{message}{_tls_hint(cause.reason or '')}"
    closed = isinstance(cause, (ConnectionResetError, asyncio.IncompleteReadError))
    if closed or message.endswith(" closed"):
        return (
            f"the broker closes the connection; does its listener use "
            f"KAFKA_SECURITY_PROTOCOL={kafka.security_protocol}?"
        )
    return message


def _tls_hint(reason: str) -> str:
    """The settings to look at for OpenSSL's reason of an error."""
    if reason == "CERTIFICATE_VERIFY_FAILED":
        return "; see KAFKA_SSL_TRUSTSTORE_LOCATION and KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM"
    # An alert is sent by the other side: the broker rejects our certificate.
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return "; see KAFKA_SSL_KEYSTORE_LOCATION"
    return ""
