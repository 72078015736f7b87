"""Why no broker takes a connection. aiokafka logs that, and raises only that none does."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator, get_ip_port_afi
from aiokafka.errors import KafkaConnectionError, KafkaError, SaslAuthenticationFailed

from worker.kafka.connection import connection_options
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.settings import KafkaSettings

DIAGNOSTIC_TIMEOUT_SECONDS = 3.0
"""For each broker that is asked why. Who waits longer comes late to brokers that return."""


@asynccontextmanager
async def explain_connection_errors(kafka: KafkaSettings) -> AsyncIterator[None]:
    """Where what is started in here reaches no broker, the error says why: `StreamingError` where
    a login is refused, else `KafkaConnectionError`.
    """
    # aiokafka takes a token that was refused for one that was taken, and does not get far.
    by_token = kafka.security_protocol.startswith("SASL") and kafka.sasl_mechanism == "OAUTHBEARER"
    if by_token and (why := await _why_no_connection(kafka)):
        raise why
    try:
        yield
    except KafkaConnectionError as error:
        if why := await _why_no_connection(kafka):
            raise why from error
        raise


async def _why_no_connection(kafka: KafkaSettings) -> Exception | None:
    """The first refusal of a login, else what the last broker says. `None`: it can be done now."""
    options = connection_options(kafka)
    why: Exception | None = None
    for server in options.pop("bootstrap_servers"):
        host, port, _ = get_ip_port_afi(server)
        connection = _Connection(host, port, **options)
        try:
            async with asyncio.timeout(DIAGNOSTIC_TIMEOUT_SECONDS):
                await connection.connect()
        except TimeoutError:
            why = KafkaConnectionError(
                f"{server}: no answer within {DIAGNOSTIC_TIMEOUT_SECONDS:g} s"
            )
        except (KafkaError, OSError) as error:
            if recovery_for(error) is Recovery.FATAL:
                how = f"{kafka.security_protocol}, {kafka.sasl_mechanism}"
                return StreamingError(f"{server} refuses the login ({how}): {format_error(error)}")
            why = KafkaConnectionError(f"{server}: {_reason(error, kafka)}")
        else:
            return None
        finally:
            await connection.end()
    return why


def _reason(error: BaseException, kafka: KafkaSettings) -> str:
    cause = error.__cause__ or error
    said = format_error(cause)
    if isinstance(cause, ssl.SSLError):
        return f"{said}{_hint(cause.reason or '')}"
    hung_up = isinstance(cause, (ConnectionResetError, asyncio.IncompleteReadError))
    if hung_up or said.endswith(" closed"):
        return f"it hangs up; does it take KAFKA_SECURITY_PROTOCOL={kafka.security_protocol}?"
    return said


def _hint(reason: str) -> str:
    """What to look at for a reason of OpenSSL's."""
    if reason == "CERTIFICATE_VERIFY_FAILED":
        return "; see KAFKA_SSL_TRUSTSTORE_LOCATION and KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM"
    # An alert is what the other side says.
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return "; see KAFKA_SSL_KEYSTORE_LOCATION"
    return ""


class _Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    def authenticator_oauth(self) -> "_Bearer":
        return _Bearer(sasl_oauth_token_provider=self._sasl_oauth_token_provider)

    async def end(self) -> None:
        """Close it, if it was ever open, and wait for that."""
        if self._protocol is not None:
            await self.close()


class _Bearer(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka is untyped
    """aiokafka's does not look at the answer, which is empty where the token is taken (RFC 7628,
    3.2.3); the broker then hangs up at the next request.
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            raise SaslAuthenticationFailed(f"the token is refused: {_status(payload)}")
        sent: tuple[bytes, bool] | None = await super().step(payload)
        return sent


def _status(payload: bytes) -> str:
    try:
        answer: Any = json.loads(payload)
    except ValueError:
        return "for a reason that is no JSON"
    return str(answer.get("status", "")) if isinstance(answer, dict) else ""
