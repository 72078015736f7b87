"""The stand-ins of a registry on a thread of their own, for commands that run a loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from tests.schema_registry.registry_server import RegistryServer, registry_server

R = TypeVar("R")


@contextmanager
def threaded(serving: AbstractAsyncContextManager[R]) -> Iterator[R]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_enter(serving), loop).result()
        asyncio.run_coroutine_threadsafe(_exit(serving), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def threaded_registry() -> Iterator[RegistryServer]:
    with threaded(registry_server()) as registry:
        yield registry


async def _enter(serving: AbstractAsyncContextManager[R]) -> R:
    return await serving.__aenter__()


async def _exit(serving: AbstractAsyncContextManager[R]) -> None:
    await serving.__aexit__(None, None, None)
