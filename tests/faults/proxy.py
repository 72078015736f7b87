"""A TCP proxy for one link, worker to broker, that can be made a bad network.

Knows bytes and connections, nothing of Kafka. Whoever breaks a link mends it: `mend`.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Literal

_CHUNK = 64 * 1024

# SO_LINGER, on, 0 s: closing sends a reset, and nothing that was still to be sent.
_RESET = struct.pack("ii", 1, 0)

Side = Literal["worker", "broker"]


class Proxy:
    """Listens on `port` of the loopback and forwards to `target`, both ways."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.target: int | None = None
        """The port behind it; connections that come before it is set are refused."""
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay = 0.0
        self._bytes_per_second: float | None = None

    @property
    def connections(self) -> int:
        """Open connections of workers."""
        return len(self._links)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def slow(self, delay: float, bytes_per_second: float | None = None) -> None:
        """Every piece of up to 64 KiB waits for `delay` seconds, each way, then for its bytes."""
        self._delay, self._bytes_per_second = delay, bytes_per_second

    def stall(self) -> None:
        """A black hole: connections stay and new ones are accepted, but nothing arrives. What was
        sent meanwhile arrives after `mend`, as TCP would have it.
        """
        self._flows.clear()

    def cut(self) -> None:
        """Reset all connections, refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.reset()

    def half_close(self, towards: Side) -> None:
        """One side of every connection is told that the other will send no more."""
        for link in self._links:
            link.half_close(towards)

    async def mend(self) -> None:
        """A good network again, for old connections and new ones."""
        self.slow(0.0)
        self._flows.set()
        if self._server is None:
            await self.start()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._flows.wait()
            if self.target is None:
                return
            upstream, link.broker = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(
                self._pump(reader, link.broker, link, "broker"),
                self._pump(upstream, writer, link, "worker"),
            )
        except (OSError, asyncio.CancelledError):
            # A side that is gone takes the other with it; stop() cancels, and wants no more.
            pass
        finally:
            self._links.discard(link)
            link.reset()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: "_Link", to: Side
    ) -> None:
        while piece := await source.read(_CHUNK):
            wait = self._delay
            if self._bytes_per_second is not None:
                wait += len(piece) / self._bytes_per_second
            if wait:
                await asyncio.sleep(wait)
            await self._flows.wait()
            if to not in link.ended:
                sink.write(piece)
                await sink.drain()
        await self._flows.wait()
        link.half_close(to)


class _Link:
    """One connection: the worker's end and, once it is made, the broker's."""

    def __init__(self, worker: asyncio.StreamWriter) -> None:
        self.worker = worker
        self.broker: asyncio.StreamWriter | None = None
        self.ended: set[Side] = set()
        """The sides that have been told that no more comes."""

    def half_close(self, towards: Side) -> None:
        writer = self.worker if towards == "worker" else self.broker
        if writer is not None and towards not in self.ended:
            self.ended.add(towards)
            with suppress(OSError):
                writer.write_eof()

    def reset(self) -> None:
        for writer in (self.worker, self.broker):
            if writer is not None and not writer.transport.is_closing():
                connection = writer.get_extra_info("socket")
                with suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
