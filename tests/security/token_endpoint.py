"""A token endpoint (RFC 6749, client credentials) for tests. It issues unsigned tokens.

Kafka's unsecured validator, which the test broker uses, accepts these.
"""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.http_serving import serve

SECRET = "s3cret/of the:client"
"""Contains characters that URLs and headers encode."""


def unsigned_token(subject: str, *, seconds: float = 3600) -> str:
    """Returns a JWT without a signature that expires `seconds` from now."""

    def part(fields: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    now = time.time()
    # Whole seconds, as most issuers write. The validator compares milliseconds, and a token that
    # arrives within the millisecond of its issue would come from the future.
    claims = {"sub": subject, "iat": int(now), "exp": now + seconds}
    return f"{part({'alg': 'none'})}.{part(claims)}."


class TokenEndpoint:
    """Issues tokens to clients that send `SECRET`, and records them.

    `token_seconds` is the lifetime of the next tokens. A `status` other than 200 is the response
    to every request. `scopes` are those of the requests for the `issued_tokens`.
    """

    def __init__(self, subject: str) -> None:
        """`subject` is the client id, and the subject of the tokens."""
        self.url = ""
        self.token_seconds = 3600.0
        self.issued_tokens: list[str] = []
        self.scopes: list[str | None] = []
        self.status = 200
        self._subject = subject

    async def handle(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.status != 200:
            return web.Response(status=self.status)
        scheme, credentials = request.headers["Authorization"].split()
        expected = f"{self._subject}:{SECRET}".encode()
        if (scheme, base64.b64decode(credentials)) != ("Basic", expected):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        scope = form.get("scope")
        self.scopes.append(scope if isinstance(scope, str) else None)
        token = unsigned_token(self._subject, seconds=self.token_seconds)
        self.issued_tokens.append(token)
        return web.json_response(
            {"access_token": token, "expires_in": self.token_seconds, "token_type": "Bearer"}
        )


@asynccontextmanager
async def token_endpoint(subject: str) -> AsyncIterator[TokenEndpoint]:
    """Serves a `TokenEndpoint` on 127.0.0.1."""
    endpoint = TokenEndpoint(subject)
    app = web.Application()
    app.router.add_post("/token", endpoint.handle)
    async with serve(app) as root:
        endpoint.url = f"{root}/token"
        yield endpoint
