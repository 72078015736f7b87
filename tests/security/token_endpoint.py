"""A token endpoint (RFC 6749, client credentials) on this machine, and unsigned tokens, as the
broker's validator for tests takes them.
"""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

SECRET = "s3cret/of the:client"
"""With characters that URLs and headers would write in another way."""


def unsigned_token(subject: str, *, seconds: float = 3600) -> str:
    """One that is good for so many seconds from now."""

    def part(fields: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    now = time.time()
    return f"{part({'alg': 'none'})}.{part({'sub': subject, 'iat': now, 'exp': now + seconds})}."


class TokenEndpoint:
    """What it gives for `SECRET`, and what it was asked."""

    def __init__(self, subject: str) -> None:
        self.url = ""
        self.seconds = 3600.0
        self.given: list[str] = []
        self.scopes: list[str | None] = []
        self.status = 200
        self._subject = subject

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.status != 200:
            return web.Response(status=self.status)
        kind, who = request.headers["Authorization"].split()
        if (kind, base64.b64decode(who)) != ("Basic", f"{self._subject}:{SECRET}".encode()):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        scope = form.get("scope")
        self.scopes.append(scope if isinstance(scope, str) else None)
        self.given.append(unsigned_token(self._subject, seconds=self.seconds))
        answer = {"access_token": self.given[-1], "expires_in": self.seconds}
        return web.json_response({**answer, "token_type": "Bearer"})


@asynccontextmanager
async def token_endpoint(subject: str) -> AsyncIterator[TokenEndpoint]:
    endpoint = TokenEndpoint(subject)
    app = web.Application()
    app.router.add_post("/token", endpoint.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, port = runner.addresses[0]
        endpoint.url = f"http://127.0.0.1:{port}/token"
        yield endpoint
    finally:
        await runner.cleanup()
