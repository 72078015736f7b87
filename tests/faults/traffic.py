"""Numbered questions at a steady rate, straight to the brokers, and which of them arrived."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.faults.questions import question

NUMBER = "faults.number"
"""The header that names a question's number, also where the value is not to be read."""

_CATCH_UP_SECONDS = 1.0
"""Of a pause of the brokers so much is made up for, in a burst."""

_TICK_SECONDS = 0.02


class Traffic:
    """Questions from number 0 on, in turn to each partition."""

    def __init__(self, servers: str, topic: str, partitions: int, rate: float) -> None:
        """`rate` in questions a second."""
        self.acknowledged: dict[tuple[int, int], int] = {}
        """Partition and offset to number."""
        self.unsure: set[int] = set()
        """Handed to the client, which gave an error: it may have arrived or not."""
        self._servers = servers
        self._topic = topic
        self._partitions = partitions
        self._rate = rate
        self._sent = 0

    @property
    def sent(self) -> int:
        return self._sent

    async def run(self, enough: Callable[[], bool]) -> None:
        """Returns when `enough` says so and all that was sent is acknowledged or given up."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            enable_idempotence=True,
            acks="all",
            request_timeout_ms=5000,
            linger_ms=5,
        )
        await producer.start()
        waiting: set[asyncio.Task[None]] = set()
        due_since = time.monotonic()
        try:
            while not enough():
                await asyncio.sleep(_TICK_SECONDS)
                now = time.monotonic()
                due_since = max(due_since, now - _CATCH_UP_SECONDS)
                for _ in range(int((now - due_since) * self._rate)):
                    due_since += 1 / self._rate
                    waiting.add(task := asyncio.create_task(self._ask(producer, self._sent)))
                    task.add_done_callback(waiting.discard)
                    self._sent += 1
            await asyncio.gather(*waiting)
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(producer.stop(), 10.0)

    async def _ask(self, producer: AIOKafkaProducer, number: int) -> None:
        asked = question(number)
        try:
            arrived = await producer.send_and_wait(
                self._topic,
                asked.value,
                key=asked.key,
                partition=number % self._partitions,
                headers=[(NUMBER, str(number).encode())],
            )
        except KafkaError:
            self.unsure.add(number)
        else:
            self.acknowledged[arrived.partition, arrived.offset] = number
