"""Tokens for SASL/OAUTHBEARER: from a file that another process refreshes (as Kubernetes does),
from a token endpoint with the client-credentials grant (RFC 6749, section 4.4), or signed with AWS
credentials (`msk_iam.py`).
"""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from worker.kafka.renewed_token import RenewedTokenProvider
from worker.settings import KafkaSettings

FETCH_TIMEOUT_SECONDS = 10.0
"""For one request to the token endpoint. A connection to a broker waits for it."""

_MAX_RESPONSE_BYTES = 64 * 1024
"""Tokens have a few KB."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def token_provider(kafka: KafkaSettings) -> AbstractTokenProvider:
    """The provider that KAFKA_SASL_MECHANISM and KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL name.
    Raises `SettingsError`.
    """
    if kafka.sasl_mechanism == "AWS_MSK_IAM":
        from worker.kafka.msk_iam import MskTokenProvider

        return MskTokenProvider()
    url = kafka.sasl_oauthbearer_token_endpoint_url
    assert url is not None  # validated by KafkaSettings
    if url.startswith("file:"):
        return FileTokenProvider(Path(unquote(urlsplit(url).path)))
    return EndpointTokenProvider(url, kafka)


class FileTokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Reads the file at each login."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Raises `SaslAuthenticationFailed`."""
        where = f"the token file {str(self._path)!r} (KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL)"
        try:
            token = (await asyncio.to_thread(self._path.read_text, "ascii")).strip()
        except OSError as error:
            raise SaslAuthenticationFailed(f"{where}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SaslAuthenticationFailed(f"{where} does not contain a token") from None
        return _validate(token, where)


class EndpointTokenProvider(RenewedTokenProvider):
    """`token` raises `SaslAuthenticationFailed` if the endpoint rejects the request,
    `KafkaConnectionError` if it does not answer.
    """

    def __init__(self, url: str, kafka: KafkaSettings) -> None:
        super().__init__()
        name = kafka.sasl_oauthbearer_client_credentials_client_id
        secret = kafka.sasl_oauthbearer_client_credentials_client_secret
        assert name is not None  # validated by KafkaSettings
        assert secret is not None
        self._url = url
        # Neither is URL-encoded, as in the Java client.
        credentials = f"{name}:{secret.get_secret_value()}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
        self._form = {"grant_type": "client_credentials"}
        if kafka.sasl_oauthbearer_scope:
            self._form["scope"] = kafka.sasl_oauthbearer_scope

    async def _fetch(self) -> tuple[str, float]:
        """A token and its lifetime in seconds (0 if the endpoint does not tell)."""
        where = f"the token endpoint {self._url}"
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
                # A redirect would send the secret to another server.
                session.post(self._url, data=self._form, allow_redirects=False) as response,
            ):
                status = response.status
                body = await response.content.read(_MAX_RESPONSE_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise KafkaConnectionError(f"{where} does not answer: {reason}") from None
        fields = _parse_object(body)
        if status != 200:
            code = fields.get("error")
            shown = f"{status} {code:.80}" if isinstance(code, str) else str(status)
            if status >= 500 or status == 429:
                raise KafkaConnectionError(f"{where} answers {shown}")
            raise SaslAuthenticationFailed(f"{where} rejects the request: {shown}")
        seconds = fields.get("expires_in")
        lifetime = float(seconds) if isinstance(seconds, (int, float)) else 0.0
        return _validate(fields.get("access_token"), where), lifetime


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _validate(token: Any, where: str) -> str:
    """RFC 6750 limits the characters of a token; others could change the SASL message around it."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise SaslAuthenticationFailed(f"{where} returned no valid token")
    return token
