"""The effect of each network fault on both ends of a connection."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, suppress

import pytest

from tests.brokers.kafka_proxy import KafkaProxy
from tests.faults.proxy import Proxy
from worker.kafka.kafka_node import free_ports

# Data that is not held back arrives within a millisecond.
NOTHING_ARRIVES_SECONDS = 0.2


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of an echo server that sends `over` at end of stream."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while received := await reader.read(1000):
                writer.write(received)
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


async def received(ends: Ends, what: bytes = b"hello") -> bool:
    return await asyncio.wait_for(ends[0].readexactly(len(what)), timeout=5.0) == what


async def test_proxy_forwards_data_and_end_of_stream(proxy: Proxy) -> None:
    ends = await call(proxy)
    assert await received(ends)
    ends[1].write_eof()
    assert await ends[0].read() == b"over"
    ends[1].close()


async def test_slow_delays_both_directions_and_limits_the_rate(proxy: Proxy) -> None:
    proxy.slow(0.05, bytes_per_second=100)
    began = time.monotonic()
    ends = await call(proxy)
    assert await received(ends)
    assert time.monotonic() - began >= 2 * (0.05 + 5 / 100)
    ends[1].close()


async def test_corrupt_changes_one_byte_once(proxy: Proxy) -> None:
    proxy.corrupt(b"ello")
    ends = await call(proxy)
    assert await ends[0].readexactly(5) == b"h\x9allo"
    assert proxy.has_corrupted
    ends[1].write(b"hello")
    assert await received(ends)
    ends[1].close()


async def test_stall_holds_data_and_new_connections_until_restored(
    proxy: Proxy,
) -> None:
    old = await call(proxy)
    assert await received(old)
    proxy.stall()
    old[1].write(b"again")
    new = await call(proxy)
    waiting = [asyncio.create_task(received(old, b"again")), asyncio.create_task(received(new))]
    done, _ = await asyncio.wait(waiting, timeout=NOTHING_ARRIVES_SECONDS)
    assert not done
    await proxy.restore()
    assert await asyncio.gather(*waiting) == [True, True]
    for ends in (old, new):
        ends[1].close()


async def test_cut_resets_connections_and_refuses_new_ones(proxy: Proxy) -> None:
    ends = await call(proxy)
    assert await received(ends)
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await ends[0].read()
    ends[1].close()
    with pytest.raises(ConnectionRefusedError):
        await call(proxy)
    await proxy.restore()
    ends = await call(proxy)
    assert await received(ends)
    ends[1].close()


async def test_half_close_towards_the_worker_ends_its_stream(proxy: Proxy) -> None:
    ends = await call(proxy)
    assert await received(ends)
    proxy.half_close("worker")
    ends[1].write(b"again")
    assert await ends[0].read() == b""
    ends[1].close()


async def test_half_close_towards_the_broker_lets_it_respond(
    proxy: Proxy,
) -> None:
    ends = await call(proxy)
    assert await received(ends)
    proxy.half_close("broker")
    assert await ends[0].read() == b"over"
    ends[1].close()


async def test_proxy_without_a_target_resets_connections(proxy: Proxy) -> None:
    proxy.target = None
    ends = await call(proxy)
    with pytest.raises(ConnectionResetError):
        await ends[0].read()
    ends[1].close()


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("kind", [Proxy, KafkaProxy])
async def test_the_end_closes_what_was_accepted_some_steps_before(
    steps: int, kind: type[Proxy | KafkaProxy]
) -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as broker, ExitStack() as opened:
        async with AsyncExitStack() as running:
            if kind is KafkaProxy:
                proxy = KafkaProxy(port, lambda versions: versions, lambda _: None)
                await running.enter_async_context(proxy)
                proxy.target = broker.getsockname()[1]
            else:
                plain = Proxy(port)
                plain.target = broker.getsockname()[1]
                await plain.start()
                running.push_async_callback(plain.stop)
            client = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(steps):
                await asyncio.sleep(0)
        client.settimeout(5.0)
        with suppress(ConnectionResetError):
            assert await asyncio.to_thread(client.recv, 1) == b""
