"""Closing a consumer whose `stop()` did not end."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from worker.kafka._aiokafka import force_close_consumer


def connected(closed: "asyncio.Future[None]") -> AIOKafkaConsumer:
    """A consumer with a connection that is closed when the future is done."""
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:9")
    connection = SimpleNamespace(close=lambda **_: closed)
    consumer._client._conns = {(0, 0): connection}
    consumer._closed = True  # it was never started; otherwise it warns that it is not closed
    return consumer


async def test_after_an_interrupted_close_it_does_not_look_cancelled() -> None:
    consumer = connected(asyncio.get_running_loop().create_future())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await consumer._client.close()

    await force_close_consumer(consumer)


async def test_an_error_of_a_connection_is_raised() -> None:
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    closed.set_exception(KafkaConnectionError("reset"))

    with pytest.raises(KafkaConnectionError, match="reset"):
        await force_close_consumer(connected(closed))
