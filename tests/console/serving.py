"""Serves a console in the test's process, without a model and without a worker."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.console.browser import console_environment
from worker.console.server import PREFIX, Console
from worker.observability.health import Health
from worker.observability.http_server import OpsServer
from worker.settings.environment import load


@asynccontextmanager
async def served(environment: Mapping[str, str]) -> AsyncIterator[tuple[Console, int]]:
    """Yields the console and its HTTP port."""
    health = Health(time.monotonic, stall_after=60, contact_after=60)
    console = Console(load({**console_environment(), **environment}), health)
    server = OpsServer(health, "127.0.0.1", 0, {PREFIX: console.app})
    await server.start()
    try:
        yield console, server.port
    finally:
        await server.stop()
