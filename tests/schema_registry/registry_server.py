"""A schema registry over HTTP for tests of the client: answers what it is told to."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.http_serving import serve


@dataclass
class RegistryServer:
    """`answers` maps `METHOD path` to status and body; the rest is unknown (40403)."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    url: str = ""
    held: asyncio.Event | None = None
    authorization: str | None = None
    """The header that requests need; others are answered 401."""
    location: str | None = None
    """The header of a redirect, in each answer."""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.raw_path}")
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.text())
        if self.held is not None:
            await self.held.wait()
        if self.authorization not in (None, request.headers.get("Authorization")):
            return web.json_response({"error_code": 401, "message": "Unauthorized"}, status=401)
        missing = 404, {"error_code": 40403, "message": "Schema not found"}
        status, body = self.answers.get(self.requests[-1], missing)
        text = body if isinstance(body, str) else json.dumps(body)
        response = web.Response(status=status, text=text, content_type="application/json")
        if self.location is not None:
            response.headers["Location"] = self.location
        return response


@asynccontextmanager
async def registry_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[RegistryServer]:
    """On 127.0.0.1, with https if there is a context."""
    server = RegistryServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with serve(app, tls) as server.url:
        yield server
