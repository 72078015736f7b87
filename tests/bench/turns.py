"""Workers that take turns on one broker, each with topics, a producer and a consumer of its own,
and what is measured of them: throughput, processor time, latency.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.process import cpu_seconds
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WORKER, WorkerProcess
from worker.model_tools.evaluation.squad import Example
from worker.settings import KafkaSettings


@dataclass
class Side:
    """One worker, its topics, what was measured."""

    topics: Topics
    worker: WorkerProcess
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    rates: list[float] = field(default_factory=list)
    """Questions per second, by piece."""
    latencies: list[float] = field(default_factory=list)
    """Seconds."""
    worker_seconds: float = 0.0
    """Of a processor, in the pieces that went as fast as they could."""
    sent: int = 0

    async def burst(self, examples: Sequence[Example]) -> None:
        before, began = cpu_seconds(self.worker.process.pid), time.perf_counter()
        ids = {await self._send(example) for example in examples}
        await self._receive(ids)
        self.rates.append(len(examples) / (time.perf_counter() - began))
        self.worker_seconds += cpu_seconds(self.worker.process.pid) - before

    async def steadily(self, examples: Sequence[Example], rate: float) -> None:
        """At `rate` per second."""
        sent: dict[str, float] = {}

        async def send() -> None:
            began = time.perf_counter()
            for number, example in enumerate(examples):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                now = time.perf_counter()
                sent[await self._send(example)] = now

        sending = asyncio.create_task(send())
        arrived = await self._receive(set(), count=len(examples))
        await sending
        self.latencies += [arrived[id_] - sent[id_] for id_ in sent]

    async def _send(self, example: Example) -> str:
        self.sent += 1
        id_ = f"{example.id}-{self.sent}"
        value = json.dumps({"id": id_, "question": example.question, "context": example.context})
        partition = self.sent % self.topics.partitions
        await self.producer.send(
            self.topics.settings.qa.questions_topic, value.encode(), partition=partition
        )
        return id_

    async def _receive(self, ids: set[str], count: int | None = None) -> dict[str, float]:
        """When each of these arrived, or of the next `count`."""
        arrived: dict[str, float] = {}
        while ids - arrived.keys() or len(arrived) < (count or 0):
            fetched: dict[Any, list[Any]] = await self.consumer.getmany(timeout_ms=1000)
            now = time.perf_counter()
            for records in fetched.values():
                for record in records:
                    arrived[json.loads(record.value)["id"]] = now
        return arrived


async def open_side(
    stack: AsyncExitStack,
    servers: str,
    environment: Mapping[str, str],
    *,
    partitions: int,
    program: Sequence[str] = WORKER,
) -> Side:
    """A side of `environment`; what the tests hurry is left at its default."""
    topics = Topics(
        servers,
        {
            "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
            **environment,
        },
        partitions=partitions,
    )
    await topics.create()
    worker = await stack.enter_async_context(WorkerProcess(topics.environment, program))
    producer = AIOKafkaProducer(bootstrap_servers=topics.servers)
    consumer = AIOKafkaConsumer(
        topics.settings.qa.answers_topic,
        bootstrap_servers=topics.servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
    )
    for client in (producer, consumer):
        await stack.enter_async_context(client)
    return Side(topics, worker, producer, consumer)
