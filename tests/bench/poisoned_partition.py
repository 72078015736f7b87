"""Latency of the other partitions while one partition holds records that cannot be read.

`python -m tests.bench.poisoned_partition [--questions 400] [--rate 10]`

A worker process with the default model answers questions on partitions 1 to 3. Then the same with
a partition 0 that has a header name that is not UTF-8 and, behind it, a batch with a wrong CRC,
which the worker reads again every 5 s. Prints the time from sending a question to its committed
answer.
"""

import argparse
import asyncio
import json
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.kafka.raw_batches import batch, flip_last_byte, produce, record
from tests.streaming.topics import event
from tests.streaming.worker_process import WorkerProcess

PARTITIONS = 4


async def latencies(topics: BenchTopics, first: int, count: int, rate: float) -> list[float]:
    """Send `count` questions, `rate` a second, to partitions 1 to 3. Returns seconds until each
    answer was read.
    """
    sent: dict[str, float] = {}
    found: dict[str, float] = {}
    async with (
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
        AIOKafkaConsumer(
            topics.settings.qa.answers_topic,
            bootstrap_servers=topics.servers,
            isolation_level="read_committed",
            fetch_max_wait_ms=10,
        ) as consumer,
    ):
        await consumer.seek_to_end()

        async def collect() -> None:
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for each in records:
                        found[json.loads(each.value)["id"]] = time.monotonic()

        collecting = asyncio.create_task(collect())
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            sent[f"q-{first + number}"] = time.monotonic()
            partition = 1 + number % (PARTITIONS - 1)
            await producer.send(
                topics.settings.qa.questions_topic, event(first + number), partition=partition
            )
        await collecting
    return [found[name] - sent[name] for name in sent]


async def poison(topics: BenchTopics, log: Path) -> None:
    """Append an undecodable record and a corrupt batch to partition 0."""
    questions = topics.settings.qa.questions_topic
    named = record(0, event(1_000_000), headers=[(b"na\xffme", b"")])
    await produce(topics.servers, questions, 0, batch([named]))
    offset = await produce(topics.servers, questions, 0, batch([record(0, event(1_000_001))]))
    flip_last_byte(log, offset=offset)


async def run(count: int, rate: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        with ApacheKafka(properties={"log.dirs": str(data)}) as kafka:
            topics = BenchTopics(kafka.bootstrap_servers, partitions=PARTITIONS)
            await topics.create()
            log = data / f"{topics.settings.qa.questions_topic}-0" / f"{0:020}.log"
            async with WorkerProcess(topics.environment, forked=False) as worker:
                await worker.ready()
                await latencies(topics, 0, 30, rate)  # warm
                before = await latencies(topics, 1_000, count, rate)
                worker.signal(signal.SIGTERM)
                await worker.ended()
            # Without a worker: a fetch that waits at the broker would return the batch intact.
            await poison(topics, log)
            async with WorkerProcess(topics.environment, forked=False) as worker:
                await worker.ready()
                await latencies(topics, 10_000, 30, rate)
                beside = await latencies(topics, 100_000, count, rate)
                stopped = len(worker.events("partition_stopped"))
                failed = len(worker.events("session_failed"))
    table = Table("", "p50, ms", "p99, ms", "longest, ms")
    for name, values in (("before", before), ("beside the poisoned partition", beside)):
        p50, p99 = 1e3 * np.percentile(values, [50, 99])
        table.add_row(name, f"{p50:.0f}", f"{p99:.0f}", f"{1e3 * max(values):.0f}")
    Console().print(table)
    print(f"partition_stopped lines: {stopped}; sessions that failed: {failed}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--rate", type=float, default=10.0)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.questions, arguments.rate))
