"""Sends numbered questions at a steady rate, and records which ones the brokers acknowledged."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tests.faults.questions import question

NUMBER = "faults.number"
"""Header with the number of the question; the value of some is not valid JSON."""

_CATCH_UP_SECONDS = 1.0
"""After an outage of the brokers, questions of at most this time are sent in a burst."""

_TICK_SECONDS = 0.02


class Traffic:
    """Questions from number 0 on, round robin over the partitions."""

    def __init__(self, servers: str, partitions: Sequence[TopicPartition], rate: float) -> None:
        """`rate`: questions per second."""
        self.acknowledged: dict[tuple[int, int], int] = {}
        """Index in `partitions` and offset to number."""
        self.unsure: set[int] = set()
        """The client reported an error: the brokers may have them or not."""
        self._servers = servers
        self._partitions = partitions
        self._rate = rate
        self._sent = 0

    @property
    def sent(self) -> int:
        return self._sent

    async def run(self, enough: Callable[[], bool]) -> None:
        """Returns when `enough` is true and every question sent was acknowledged or has failed."""
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
                    waiting.add(task := asyncio.create_task(self._send(producer, self._sent)))
                    task.add_done_callback(waiting.discard)
                    self._sent += 1
            await asyncio.gather(*waiting)
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(producer.stop(), 10.0)

    async def _send(self, producer: AIOKafkaProducer, number: int) -> None:
        event = question(number)
        index = number % len(self._partitions)
        target = self._partitions[index]
        try:
            metadata = await producer.send_and_wait(
                target.topic,
                event.value,
                key=event.key,
                partition=target.partition,
                headers=[(NUMBER, str(number).encode())],
            )
        except KafkaError:
            self.unsure.add(number)
        else:
            self.acknowledged[index, metadata.offset] = number
