"""What each state of a link does to the two that talk over it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import Proxy
from worker.kafka.kafka_node import free_ports

# Long enough to say that something does not arrive which otherwise takes less than a millisecond.
A_WHILE = 0.2


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """Before a server that repeats what it hears, and says `over` when it hears the end."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while heard := await reader.read(1000):
                writer.write(heard)
            writer.write(b"over")
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    (port,) = free_ports(1)
    proxy = Proxy(port)
    proxy.target = server.sockets[0].getsockname()[1]
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def call(proxy: Proxy) -> Ends:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    return reader, writer


async def heard(ends: Ends, what: bytes = b"hello") -> bool:
    return await asyncio.wait_for(ends[0].readexactly(len(what)), timeout=5.0) == what


async def test_a_good_link_carries_both_ways_and_ends_with_its_ends(proxy: Proxy) -> None:
    ends = await call(proxy)
    assert await heard(ends)
    ends[1].write_eof()
    assert await ends[0].read() == b"over"
    ends[1].close()


async def test_a_slow_link_delays_each_way_and_each_byte(proxy: Proxy) -> None:
    proxy.slow(0.05, bytes_per_second=100)
    began = time.monotonic()
    ends = await call(proxy)
    assert await heard(ends)
    assert time.monotonic() - began >= 2 * (0.05 + 5 / 100)
    ends[1].close()


async def test_a_stalled_link_holds_what_is_sent_and_who_comes_until_it_is_mended(
    proxy: Proxy,
) -> None:
    old = await call(proxy)
    assert await heard(old)
    proxy.stall()
    old[1].write(b"again")
    new = await call(proxy)
    waiting = [asyncio.create_task(heard(old, b"again")), asyncio.create_task(heard(new))]
    done, _ = await asyncio.wait(waiting, timeout=A_WHILE)
    assert not done
    await proxy.mend()
    assert await asyncio.gather(*waiting) == [True, True]
    for ends in (old, new):
        ends[1].close()


async def test_a_cut_link_resets_who_is_there_and_refuses_who_comes(proxy: Proxy) -> None:
    ends = await call(proxy)
    assert await heard(ends)
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await ends[0].read()
    ends[1].close()
    with pytest.raises(ConnectionRefusedError):
        await call(proxy)
    await proxy.mend()
    ends = await call(proxy)
    assert await heard(ends)
    ends[1].close()


async def test_half_closed_towards_the_worker_it_hears_the_end_and_no_more(proxy: Proxy) -> None:
    ends = await call(proxy)
    assert await heard(ends)
    proxy.half_close("worker")
    ends[1].write(b"again")
    assert await ends[0].read() == b""
    ends[1].close()


async def test_half_closed_towards_the_broker_it_hears_the_end_and_can_answer(
    proxy: Proxy,
) -> None:
    ends = await call(proxy)
    assert await heard(ends)
    proxy.half_close("broker")
    assert await ends[0].read() == b"over"
    ends[1].close()


async def test_without_a_broker_behind_it_a_connection_is_reset(proxy: Proxy) -> None:
    proxy.target = None
    ends = await call(proxy)
    with pytest.raises(ConnectionResetError):
        await ends[0].read()
    ends[1].close()
