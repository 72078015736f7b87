"""Measures what the fence of each partition costs broker and worker, by partitions and interval.

`python -m tests.bench.fencing_cost [--partitions 4,48,192,1000] [--intervals 100,500,2000]
[--seconds 12]`

One worker answers 60 questions/s, spread over all partitions, at least once and exactly once. The
figures are cores: processor time of the process in the window, divided by its length. The worker's
include the model on one thread, which is the same in every cell. One broker, on the same machine:
replicas cost their brokers more.
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from tests.bench.process import cpu_seconds, rss_mib
from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.settings import KafkaSettings

RATE = 60.0
DELIVERIES = ("at_least_once", "exactly_once")
WARM_UP_SECONDS = 20.0
"""Until the broker's JVM has compiled what transactions run."""
SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    broker_cores: float
    worker_cores: float
    answers_per_second: float
    memory_mib: float
    """The worker's resident memory at the end of the window."""


async def measure(
    kafka: ApacheKafka, topics: BenchTopics, delivery: str, interval_ms: int, seconds: float
) -> Cost:
    environment = {
        **topics.environment,
        "QA_DELIVERY": delivery,
        "QA_COMMIT_INTERVAL_MS": str(interval_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
        "QA_THREADS": "1",
    }
    async with WorkerProcess(environment, forked=False) as worker, _questions(topics):

        async def answers_flow() -> bool:
            return await worker.metric("qa_answers_total") > 2 * RATE

        await until(answers_flow, "all partitions are fenced")
        await asyncio.sleep(SETTLE_SECONDS)
        pids = kafka.pid(), worker.process.pid
        answers = await worker.metric("qa_answers_total")
        before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
        await asyncio.sleep(seconds)
        elapsed = time.monotonic() - began
        broker, own = (cpu_seconds(p) - b for p, b in zip(pids, before, strict=True))
        answered = await worker.metric("qa_answers_total") - answers
        memory = rss_mib(worker.process.pid)
        worker.signal(signal.SIGTERM)
        await worker.ended()
    return Cost(broker / elapsed, own / elapsed, answered / elapsed, memory)


@asynccontextmanager
async def _questions(topics: BenchTopics) -> AsyncIterator[None]:
    topic = topics.settings.qa.questions_topic
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:

        async def send() -> None:
            began = time.monotonic()
            start = time.time_ns()  # no question repeats one of another cell
            for number in range(1_000_000):
                value = event(start + number)
                await producer.send(topic, value, partition=number % topics.partitions)
                await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))

        sending = asyncio.create_task(send())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def run(counts: Sequence[int], intervals: Sequence[int], seconds: float) -> None:
    table = Table(title=f"{RATE:g} questions/s for {seconds:g} s, cores")
    columns = ("partitions", "interval, ms", "broker: at least once", "exactly once")
    for column in (*columns, "worker: at least once", "exactly once", "answers/s", "memory, MiB"):
        table.add_column(column, justify="right")
    with ApacheKafka() as kafka, progress() as bar:
        cells = len(counts) * len(intervals) * len(DELIVERIES)
        task = bar.add_task("cells", total=cells, speed="")
        for position, count in enumerate(counts):
            topics = BenchTopics(kafka.bootstrap_servers, partitions=count)
            await topics.create()
            if not position:
                await measure(kafka, topics, "exactly_once", 100, WARM_UP_SECONDS)
            for interval in intervals:
                costs = []
                for delivery in DELIVERIES:
                    costs.append(await measure(kafka, topics, delivery, interval, seconds))
                    bar.advance(task)
                table.add_row(
                    str(count),
                    str(interval),
                    *(f"{cost.broker_cores:.2f}" for cost in costs),
                    *(f"{cost.worker_cores:.2f}" for cost in costs),
                    " / ".join(f"{cost.answers_per_second:.0f}" for cost in costs),
                    " / ".join(f"{cost.memory_mib:.0f}" for cost in costs),
                )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", default="4,48,192,1000")
    parser.add_argument("--intervals", default="100,500,2000", help="QA_COMMIT_INTERVAL_MS")
    parser.add_argument("--seconds", type=float, default=12.0, help="window of each cell")
    arguments = parser.parse_args()
    counts = [int(number) for number in arguments.partitions.split(",")]
    intervals = [int(number) for number in arguments.intervals.split(",")]
    asyncio.run(run(counts, intervals, arguments.seconds))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
