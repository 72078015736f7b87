"""What exactly-once delivery costs: throughput and latency of both deliveries, side by side.

`python -m tests.bench.deliveries SQUAD.json [--partitions 1,4,12] [--intervals 50,100,500]`

Two workers with the same model live on the same broker, one of each delivery. They take turns on
pieces of the file, in alternating order: first as fast as they go, then at a steady rate below
that, for the time from a question's sending to its answer at a consumer that reads committed. The
broker is one node: with replicas on other machines every step of a transaction takes longer.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from tests.bench.process import cpu_seconds
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess
from worker.cli.console import progress
from worker.reading.evaluate import Example, load_squad
from worker.settings import KafkaSettings

DELIVERIES = ("at_least_once", "exactly_once")
PIECES = 4
STEADY = 100
"""Questions of a piece at a steady rate."""


@dataclass
class Side:
    """One delivery: its worker, its topics, what was measured."""

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


async def measure(examples: Iterator[Example], kafka: ApacheKafka, cell: "Cell") -> None:
    """One cell of the table."""
    async with AsyncExitStack() as stack:
        sides = [await _side(stack, kafka, delivery, cell) for delivery in DELIVERIES]
        for side in sides:
            await side.burst(list(islice(examples, STEADY)))  # warm
            side.rates.clear()
            side.worker_seconds = 0.0
        for number in range(PIECES):
            piece = list(islice(examples, cell.piece))
            for side in sides[:: 1 if number % 2 else -1]:
                await side.burst(piece)
        rate = 0.4 * min(median(side.rates) for side in sides)
        for number in range(2):
            piece = list(islice(examples, STEADY))
            for side in sides[:: 1 if number % 2 else -1]:
                await side.steadily(piece, rate)
    cell.rate, cell.sides = rate, sides


@dataclass
class Cell:
    partitions: int
    interval_ms: int
    piece: int
    rate: float = 0.0
    sides: list[Side] = field(default_factory=list)


async def _side(stack: AsyncExitStack, kafka: ApacheKafka, delivery: str, cell: Cell) -> Side:
    topics = Topics(
        kafka.bootstrap_servers,
        {
            "QA_DELIVERY": delivery,
            "QA_COMMIT_INTERVAL_MS": str(cell.interval_ms),
            "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
        },
        partitions=cell.partitions,
    )
    await topics.create()
    worker = await stack.enter_async_context(WorkerProcess(topics.environment))
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


def show(cells: Sequence[Cell]) -> None:
    table = Table(title="exactly once beside at least once")
    columns = ("partitions", "interval, ms", "questions/s: at least once", "exactly once")
    shares = ("share, median (least, most)", "processor", "p50, ms", "p99, ms")
    for column in (*columns, *shares):
        table.add_column(column, justify="right")
    for cell in cells:
        least, exactly = cell.sides
        ratios = [b / a for a, b in zip(least.rates, exactly.rates, strict=True)]
        points = [_points(side.latencies) for side in cell.sides]
        table.add_row(
            str(cell.partitions),
            str(cell.interval_ms),
            *(f"{median(side.rates):.1f}" for side in cell.sides),
            f"{median(ratios):.3f} ({min(ratios):.3f}, {max(ratios):.3f})",
            f"{exactly.worker_seconds / least.worker_seconds:.3f}",
            *(f"{a:.0f} / {b:.0f}" for a, b in zip(*points, strict=True)),
        )
    console = Console(width=140)
    console.print(table)
    console.print(
        "processor: of the worker, as a share of at-least-once's; latencies: at least once / "
        "exactly once, at 0.4 of the lower throughput"
    )


def _points(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    hundredths = quantiles(seconds, n=100)
    return 1000 * hundredths[49], 1000 * hundredths[98]


async def run(
    examples: list[Example], partitions: list[int], intervals: list[int], piece: int
) -> None:
    cells = [Cell(count, interval, piece) for count in partitions for interval in intervals]
    with ApacheKafka() as kafka, progress() as bar:
        task = bar.add_task("cells", total=len(cells), speed="")
        for cell in cells:
            await measure(iter(examples), kafka, cell)
            bar.advance(task)
    show(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--partitions", default="1,4,12")
    parser.add_argument("--intervals", default="50,100,500")
    parser.add_argument("--piece", type=int, default=400, help="questions of one turn")
    arguments = parser.parse_args()
    partitions = [int(number) for number in arguments.partitions.split(",")]
    intervals = [int(number) for number in arguments.intervals.split(",")]
    asyncio.run(run(load_squad(arguments.file), partitions, intervals, arguments.piece))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
