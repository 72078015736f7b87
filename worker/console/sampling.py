"""Runs a sampler in the background while the HTTP server is up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from worker.console.sampler import PERIOD_SECONDS, Sampler


def sample_periodically(sampler: Sampler) -> Callable[[web.Application], AsyncIterator[None]]:
    """Returns an aiohttp cleanup context that takes a sample every `PERIOD_SECONDS`."""

    async def run() -> None:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            sampler.take()

    async def context(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return context
