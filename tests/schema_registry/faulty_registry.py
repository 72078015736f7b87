"""A registry over HTTP that can be killed, restarted on its port, and told to fail."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from aiohttp import web

from tests.schema_registry import framed_values
from tests.schema_registry.registry_server import RegistryServer

SLOW_SECONDS = 0.5


class Fault(StrEnum):
    """What the registry does until it works again."""

    NONE = "none"
    KILLED = "killed"
    HANGS = "hangs"
    SLOW = "slow"
    ANSWERS_500 = "500"
    ANSWERS_401 = "401"


class FaultyRegistry:
    """Has each schema of `framed_values`, and new ids of the Avro schema."""

    def __init__(self) -> None:
        self.server = RegistryServer()
        framed_values.serve_schemas(self.server)
        self.fault = Fault.NONE
        self.port = 0
        self._changed = asyncio.Event()
        self._ids = itertools.count(1_000)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_schema(self) -> int:
        """The id of a schema that no worker has read yet."""
        schema_id = next(self._ids)
        framed_values.serve_schemas(self.server, schema_id)
        return schema_id

    async def begin(self, fault: Fault) -> None:
        self.fault = fault
        if fault is Fault.KILLED:
            await self.stop()

    async def end(self) -> None:
        """It works again."""
        killed, self.fault = self.fault is Fault.KILLED, Fault.NONE
        self._changed.set()
        self._changed.clear()
        if killed:
            await self.start()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        match self.fault:
            case Fault.ANSWERS_500 | Fault.ANSWERS_401 as status:
                body = {"error_code": 50001, "message": "Error in the backend"}
                return web.json_response(body, status=int(status))
            case Fault.HANGS:
                await self._changed.wait()
            case Fault.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
        return await self.server.handle(request)


@asynccontextmanager
async def faulty_registry() -> AsyncIterator[FaultyRegistry]:
    registry = FaultyRegistry()
    await registry.start()
    try:
        yield registry
    finally:
        await registry.end()
        await registry.stop()
