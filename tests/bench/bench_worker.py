"""A worker process under measurement, with its own topics, producer and consumer.

Several of them can take turns on one broker. Measures throughput, CPU time and latency.
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
from tests.bench.topics import BenchTopics
from tests.streaming.worker_process import WORKER, WorkerProcess
from worker.model_tools.evaluation.squad import Example
from worker.settings import KafkaSettings


@dataclass
class BenchWorker:
    """A worker process, its Kafka clients, and the measurements."""

    topics: BenchTopics
    process: WorkerProcess
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    rates: list[float] = field(default_factory=list)
    """Questions per second of each chunk at full speed."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from sending a question to its answer, at a constant rate."""
    cpu_seconds: float = 0.0
    """CPU time of the worker in the chunks at full speed."""
    sent: int = 0
    """Number of questions sent so far."""

    async def full_speed(self, examples: Sequence[Example]) -> None:
        """Sends the questions at once, waits for the answers, and adds rate and CPU time."""
        before, began = cpu_seconds(self.process.process.pid), time.perf_counter()
        ids = {await self._send(example) for example in examples}
        await self._receive(ids)
        self.rates.append(len(examples) / (time.perf_counter() - began))
        self.cpu_seconds += cpu_seconds(self.process.process.pid) - before

    async def constant_rate(self, examples: Sequence[Example], rate: float) -> None:
        """Sends `rate` questions per second, waits for the answers, and adds their latencies."""
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
        """Returns the arrival times of the answers `ids`, or of the next `count` answers, by id."""
        arrived: dict[str, float] = {}
        while ids - arrived.keys() or len(arrived) < (count or 0):
            fetched: dict[Any, list[Any]] = await self.consumer.getmany(timeout_ms=1000)
            now = time.perf_counter()
            for records in fetched.values():
                for record in records:
                    arrived[json.loads(record.value)["id"]] = now
        return arrived


async def open_bench_worker(
    stack: AsyncExitStack,
    servers: str,
    environment: Mapping[str, str],
    *,
    partitions: int,
    program: Sequence[str] = WORKER,
) -> BenchWorker:
    """Creates topics, and starts a worker with `environment` and its clients.

    Settings that `Topics` shortens for tests have their defaults.
    """
    topics = BenchTopics(
        servers,
        {
            "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
            **environment,
        },
        partitions=partitions,
    )
    await topics.create()
    worker = await stack.enter_async_context(
        WorkerProcess(topics.environment, program, forked=False)
    )
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
    return BenchWorker(topics, worker, producer, consumer)
