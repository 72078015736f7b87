"""Runs a sampler in the background while the HTTP server is up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from worker.console.sampler import PERIOD_SECONDS, Sampler


def sample_periodically(sampler: Sampler) -> Callable[[web.Application], AsyncIterator[None]]:
    """A cleanup context for aiohttp: takes one sample every `PERIOD_SECONDS` until shutdown."""

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
