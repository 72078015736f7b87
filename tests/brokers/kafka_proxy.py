"""A proxy that parses Kafka's frames: in front of Apache Kafka it answers as other brokers do.

It rewrites the responses to ApiVersions, answers some requests itself or closes the connection at
them, and forwards everything else. A request that it does not announce closes the connection, as
on a real broker.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self

from aiokafka.protocol.admin import ApiVersionResponse_v0, ApiVersionResponse_v1
from aiokafka.protocol.api import RequestHeader_v1

from tests.tcp_server import close_server

API_VERSIONS = 18

Versions = Mapping[int, tuple[int, int]]
"""Key of a request to the lowest and the highest version."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a client. `body` is what follows the header of version 1."""

    key: int
    version: int
    correlation: int
    body: bytes


class CloseConnection(Exception):  # noqa: N818 - what to do, not what is wrong
    """The broker closes the connection instead of an answer."""


Answer = Callable[[Asked], bytes | None]
"""Returns the body of a response, or None to forward the request. Raises `CloseConnection`."""


class KafkaProxy:
    """`async with KafkaProxy(port, announce, answer) as proxy`; set `proxy.target` to the broker's
    port. `announce` gets the versions of the broker and returns those that clients are told.
    """

    def __init__(self, port: int, announce: Callable[[Versions], Versions], answer: Answer) -> None:
        self.port = port
        self.target = 0
        self.asked: Counter[int] = Counter()
        """Key of a request to how often it came."""
        self._announce = announce
        self._answer = answer
        self._announced: Versions = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_server(self._server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task that is cancelled before its first step closes nothing itself.
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the proxy ends
            upstream, broker = await asyncio.open_connection("127.0.0.1", self.target)
            with closing(broker):
                await self._forward(reader, broker, upstream, writer)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        broker: asyncio.StreamWriter,
        upstream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Returns when one side has closed its connection."""
        versions_asked: dict[int, int] = {}
        directions = [
            asyncio.create_task(self._requests(reader, broker, writer, versions_asked)),
            asyncio.create_task(self._responses(upstream, writer, versions_asked)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            # One side has closed: the other one's error says nothing new.
            ended = await asyncio.gather(*directions, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception) and not isinstance(error, _ENDS):
                    raise error

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        broker: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        versions_asked: dict[int, int],
    ) -> None:
        while True:
            frame = await _read_frame(reader)
            asked = _parse(frame)
            self.asked[asked.key] += 1
            if asked.key == API_VERSIONS:
                versions_asked[asked.correlation] = asked.version
            elif asked.key not in self._announced:
                raise CloseConnection
            elif (body := self._answer(asked)) is not None:
                client.write(_frame(struct.pack(">i", asked.correlation) + body))
                continue
            broker.write(_frame(frame))
            await broker.drain()

    async def _responses(
        self,
        upstream: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        versions_asked: dict[int, int],
    ) -> None:
        while True:
            frame = await _read_frame(upstream)
            (correlation,) = struct.unpack(">i", frame[:4])
            if correlation in versions_asked:
                frame = frame[:4] + self._rewrite(frame[4:], versions_asked.pop(correlation))
            client.write(_frame(frame))
            await client.drain()

    def _rewrite(self, body: bytes, version: int) -> bytes:
        """The response to ApiVersions, as the imitated broker would give it."""
        kind: Any = ApiVersionResponse_v0 if version == 0 else ApiVersionResponse_v1
        response = kind.decode(BytesIO(body))
        known = {key: (low, high) for key, low, high in response.api_versions}
        self._announced = self._announce(known)
        response.api_versions = [(key, *versions) for key, versions in self._announced.items()]
        return bytes(response.encode())


_ENDS = (OSError, EOFError, CloseConnection)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _frame(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


def _parse(frame: bytes) -> Asked:
    buffer = BytesIO(frame)
    key, version, correlation, _ = RequestHeader_v1.SCHEMA.decode(buffer)
    return Asked(key, version, correlation, buffer.read())
