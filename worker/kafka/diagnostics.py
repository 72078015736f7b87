"""Explains why no connection can be made: aiokafka logs the cause and raises only the fact."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.conn import get_ip_port_afi
from aiokafka.errors import KafkaConnectionError, KafkaError

from worker.kafka._aiokafka import DiagnosticConnection
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
    # aiokafka treats a rejected OAUTHBEARER token as accepted and fails later without a cause.
    by_token = kafka.security_protocol.startswith("SASL") and kafka.sasl_mechanism == "OAUTHBEARER"
    if by_token and (error := await find_connection_error(kafka)):
        raise error
    try:
        yield
    except KafkaConnectionError as raised:
        if error := await find_connection_error(kafka):
            raise error from raised
        raise


async def find_connection_error(kafka: KafkaSettings) -> Exception | None:
    """Connect to each bootstrap server, with certificates read from their files. Returns the first
    rejected login, a `StreamingError`, else the last server's error; None if a connection succeeds.
    Raises `SettingsError`.
    """
    options = connection_options(kafka)
    found: Exception | None = None
    for server in options.pop("bootstrap_servers"):
        host, port, _ = get_ip_port_afi(server)
        connection = DiagnosticConnection(host, port, **options)
        try:
            async with asyncio.timeout(DIAGNOSTIC_TIMEOUT_SECONDS):
                await connection.connect()
        except TimeoutError:
            found = KafkaConnectionError(
                f"{server}: no answer within {DIAGNOSTIC_TIMEOUT_SECONDS:g} s"
            )
        except (KafkaError, OSError) as error:
            if recovery_for(error) is Recovery.FATAL:
                login = f"{kafka.security_protocol}, {kafka.sasl_mechanism}"
                return StreamingError(
                    f"{server} rejects the login ({login}): {format_error(error)}"
                )
            found = KafkaConnectionError(f"{server}: {_explain(error, kafka)}")
        else:
            return None
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
