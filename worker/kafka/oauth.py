"""Tokens for SASL/OAUTHBEARER: from a file that somebody keeps fresh (Kubernetes does), or from a
token endpoint with the client-credentials grant (RFC 6749, 4.4).
"""

import asyncio
import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from worker.settings import KafkaSettings

FETCH_SECONDS = 10.0
"""For a token, which a small request brings; a connection to a broker waits for it."""

USED_SHARE = 0.8
"""Of its life a token is used for new connections, as the Java client has it
(sasl.login.refresh.window.factor); after that a new one is fetched."""

_ANSWER_BYTES = 64 * 1024
"""The most of an answer that is looked at; tokens have a few KB."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def token_provider(kafka: KafkaSettings) -> AbstractTokenProvider:
    """Those that `KAFKA_SASL_OAUTHBEARER_…` names."""
    url = kafka.sasl_oauthbearer_token_endpoint_url
    assert url is not None  # the settings saw to it
    if url.startswith("file:"):
        return FileTokens(Path(unquote(urlsplit(url).path)))
    return EndpointTokens(url, kafka)


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """What the file holds, read at each login."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Raises `SaslAuthenticationFailed` where there is none."""
        where = f"the token file {str(self._path)!r} (KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL)"
        try:
            token = (await asyncio.to_thread(self._path.read_text, "ascii")).strip()
        except OSError as error:
            raise SaslAuthenticationFailed(f"{where}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SaslAuthenticationFailed(f"{where} holds no token") from None
        return _checked(token, where)


class EndpointTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Fetched when a connection logs in and the last one is old; connections share it."""

    def __init__(self, url: str, kafka: KafkaSettings) -> None:
        name = kafka.sasl_oauthbearer_client_credentials_client_id
        secret = kafka.sasl_oauthbearer_client_credentials_client_secret
        assert name is not None  # the settings saw to it
        assert secret is not None
        self._url = url
        # As the Java client has it, neither is quoted.
        both = f"{name}:{secret.get_secret_value()}".encode()
        self._who = {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
        self._form = {"grant_type": "client_credentials"}
        if kafka.sasl_oauthbearer_scope:
            self._form["scope"] = kafka.sasl_oauthbearer_scope
        self._token, self._good_until = "", float("-inf")
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Raises `SaslAuthenticationFailed` where the endpoint refuses, `KafkaConnectionError`
        where it does not answer.
        """
        async with self._fetching:
            if time.monotonic() >= self._good_until:
                began = time.monotonic()
                self._token, seconds = await self._fetch()
                self._good_until = began + USED_SHARE * seconds
            return self._token

    async def _fetch(self) -> tuple[str, float]:
        """A token, and the seconds of its life (0 where nobody says)."""
        where = f"the token endpoint {self._url}"
        try:
            async with (
                aiohttp.ClientSession(
                    headers=self._who, timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS)
                ) as session,
                # Where it sends us on, others would be told the secret.
                session.post(self._url, data=self._form, allow_redirects=False) as response,
            ):
                status = response.status
                answer = await response.content.read(_ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise KafkaConnectionError(f"{where} does not answer: {why}") from None
        fields = _object(answer)
        if status != 200:
            code = fields.get("error")
            shown = f"{status} {code:.80}" if isinstance(code, str) else str(status)
            if status >= 500 or status == 429:
                raise KafkaConnectionError(f"{where} answers {shown}")
            raise SaslAuthenticationFailed(f"{where} refuses: {shown}")
        seconds = fields.get("expires_in")
        life = float(seconds) if isinstance(seconds, (int, float)) else 0.0
        return _checked(fields.get("access_token"), where), life


def _object(answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _checked(token: Any, where: str) -> str:
    """What RFC 6750 has a token be; anything else would change the message that holds it."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise SaslAuthenticationFailed(f"{where} gives no token")
    return token
