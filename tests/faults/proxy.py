"""A TCP proxy between one worker and one broker that simulates network faults.

Forwards bytes and does not know the Kafka protocol. Callers undo a fault with `restore`.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Literal

from tests.tcp_server import close_server

_CHUNK = 64 * 1024

# SO_LINGER with 0 s: closing sends a reset and discards unsent data.
_RESET = struct.pack("ii", 1, 0)

Side = Literal["worker", "broker"]


class Proxy:
    """Listens on `port` of the loopback interface and forwards to `target` in both directions."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.target: int | None = None
        """The broker's port. Connections are reset while it is None."""
        self.bytes_to_workers = 0
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay = 0.0
        self._bytes_per_second: float | None = None
        self._corrupted: bytes | None = None

    @property
    def connections(self) -> int:
        """Open connections of workers."""
        return len(self._links)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            await close_server(self._server)
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def slow(self, delay: float, bytes_per_second: float | None = None) -> None:
        """Delay each chunk of up to 64 KiB by `delay` seconds, both ways; limit the rate."""
        self._delay, self._bytes_per_second = delay, bytes_per_second

    def corrupt(self, text: bytes) -> None:
        """Invert a byte of the next chunk for a worker that contains `text`, once."""
        self._corrupted = text

    @property
    def has_corrupted(self) -> bool:
        return self._corrupted is None

    def stall(self) -> None:
        """A black hole: connections stay open and new ones are accepted, but no data arrives. Data
        that was sent meanwhile arrives after `restore`, as with TCP.
        """
        self._flows.clear()

    def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.reset()

    def half_close(self, towards: Side) -> None:
        """Send end of stream to one side of every connection."""
        for link in self._links:
            link.half_close(towards)

    async def restore(self) -> None:
        """Undo all faults, for existing and new connections."""
        self.slow(0.0)
        self._corrupted = None
        self._flows.set()
        if self._server is None:
            await self.start()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)

        def end(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._links.discard(link)
            link.reset()

        # A task that is cancelled before its first step closes nothing itself.
        task = asyncio.create_task(self._serve(reader, link))
        self._tasks.add(task)
        task.add_done_callback(end)

    async def _serve(self, reader: asyncio.StreamReader, link: "_Link") -> None:
        # One side has closed, which closes the other; or stop() cancels.
        with suppress(OSError, asyncio.CancelledError):
            await self._flows.wait()
            if self.target is None:
                return
            upstream, link.broker = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(
                self._pump(reader, link.broker, link, "broker"),
                self._pump(upstream, link.worker, link, "worker"),
            )

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: "_Link", to: Side
    ) -> None:
        while chunk := await source.read(_CHUNK):
            wait = self._delay
            if self._bytes_per_second is not None:
                wait += len(chunk) / self._bytes_per_second
            if wait:
                await asyncio.sleep(wait)
            await self._flows.wait()
            if to == "worker":
                chunk = self._maybe_corrupt(chunk)
                self.bytes_to_workers += len(chunk)
            if to not in link.ended:
                sink.write(chunk)
                await sink.drain()
        await self._flows.wait()
        link.half_close(to)

    def _maybe_corrupt(self, chunk: bytes) -> bytes:
        text = self._corrupted
        if text is None or (at := chunk.find(text)) < 0:
            return chunk
        self._corrupted = None
        return chunk[:at] + bytes([chunk[at] ^ 0xFF]) + chunk[at + 1 :]


class _Link:
    """One connection of a worker, and the proxy's own to the broker once it is open."""

    def __init__(self, worker: asyncio.StreamWriter) -> None:
        self.worker = worker
        self.broker: asyncio.StreamWriter | None = None
        self.ended: set[Side] = set()
        """Sides that have received end of stream."""

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
