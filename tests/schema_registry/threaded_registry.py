"""The stand-in of `registry_server.py` on a thread of its own, for commands that run a loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.schema_registry.registry_server import RegistryServer, registry_server


@contextmanager
def threaded_registry() -> Iterator[RegistryServer]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = registry_server()
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
