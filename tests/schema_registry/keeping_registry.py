"""A schema registry over HTTP that keeps what is registered, for tests that write and read values.

It compares schemas by their texts. `format=serialized` returns the descriptor of a `.proto` file in
Base64, as Confluent's registry does; confluent-kafka asks for it.
"""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.http_serving import serve
from worker.schema_registry.proto_text import parse_proto

FIRST_ID = 100_001


@dataclass
class KeepingRegistry:
    """What it has, and what it was asked."""

    url: str = ""
    schemas: list[dict[str, str]] = field(default_factory=list)
    """In the order of their ids, from FIRST_ID on."""
    subjects: dict[str, list[int]] = field(default_factory=dict)
    """Subject to the ids of its versions."""
    requests: list[str] = field(default_factory=list)
    refusal: str = ""
    """The message with which it refuses each registration as incompatible."""
    unparsable: str = ""
    """The message with which it refuses each look-up, as one of a schema of another type."""
    is_away: bool = False

    def register(self, subject: str, schema: dict[str, str]) -> int:
        if schema not in self.schemas:
            self.schemas.append(schema)
        schema_id = FIRST_ID + self.schemas.index(schema)
        versions = self.subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        if self.is_away:
            return web.Response(status=503)
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["schemas", "ids", schema_id]:
                number = int(schema_id) - FIRST_ID
                if 0 <= number < len(self.schemas):
                    schema = self.schemas[number]
                    if request.query.get("format") == "serialized":
                        descriptor = parse_proto(schema["schema"], "default")
                        text = b64encode(descriptor.SerializeToString()).decode()
                        schema = {**schema, "schema": text}
                    return web.json_response(schema)
                return _error(404, 40403, "Schema not found")
            case "GET", ["subjects", subject, "versions", "latest"] if subject in self.subjects:
                latest = self.subjects[subject][-1]
                return web.json_response({"id": latest, **self.schemas[latest - FIRST_ID]})
            case "POST", ["subjects", subject]:
                return self._find(subject, await _schema(request))
            case "POST", ["subjects", subject, "versions"]:
                if self.refusal:
                    return _error(409, 409, self.refusal)
                return web.json_response({"id": self.register(subject, await _schema(request))})
        return _error(404, 404, "HTTP 404 Not Found")

    def _find(self, subject: str, schema: dict[str, str]) -> web.Response:
        if subject not in self.subjects:
            return _error(404, 40401, f"Subject '{subject}' not found.")
        if self.unparsable:
            return _error(422, 42201, self.unparsable)
        for version, schema_id in enumerate(self.subjects[subject], 1):
            if self.schemas[schema_id - FIRST_ID] == schema:
                return web.json_response(
                    {"subject": subject, "version": version, "id": schema_id, **schema}
                )
        return _error(404, 40403, "Schema not found")


async def _schema(request: web.Request) -> dict[str, str]:
    body = json.loads(await request.text())
    return {"schemaType": body.get("schemaType", "AVRO"), "schema": body["schema"]}


def _error(status: int, code: int, message: str) -> web.Response:
    body: dict[str, Any] = {"error_code": code, "message": message}
    return web.json_response(body, status=status)


@asynccontextmanager
async def keeping_registry() -> AsyncIterator[KeepingRegistry]:
    registry = KeepingRegistry()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", registry.handle)
    async with serve(app) as registry.url:
        yield registry
