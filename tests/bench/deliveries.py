"""Compares throughput and latency of exactly-once with at-least-once delivery.

`python -m tests.bench.deliveries SQUAD.json [--partitions 1,4,12] [--intervals 50,100,500]`

Two workers with the same model use the same broker, one with each kind of delivery. They take turns
on chunks of the file, in alternating order: first at full speed, then at a constant lower rate to
measure latency, from sending a question to its answer at a consumer that reads committed. The
broker is one node; with replicas on other machines every step of a transaction takes longer.
"""

import argparse
import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from tests.bench.bench_worker import BenchWorker, open_bench_worker
from tests.brokers.apache import ApacheKafka
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

DELIVERIES = ("at_least_once", "exactly_once")
CHUNKS = 4
"""Number of chunks at full speed."""
CONSTANT_RATE_QUESTIONS = 100
"""Size of a chunk at a constant rate."""


async def measure(examples: Iterator[Example], kafka: ApacheKafka, cell: "Cell") -> None:
    """Measures one row of the table, and stores the results in `cell`."""
    async with AsyncExitStack() as stack:
        workers = [
            await open_bench_worker(
                stack,
                kafka.bootstrap_servers,
                {"QA_DELIVERY": delivery, "QA_COMMIT_INTERVAL_MS": str(cell.interval_ms)},
                partitions=cell.partitions,
            )
            for delivery in DELIVERIES
        ]
        for worker in workers:
            await worker.full_speed(list(islice(examples, CONSTANT_RATE_QUESTIONS)))  # warm-up
            worker.rates.clear()
            worker.cpu_seconds = 0.0
        for number in range(CHUNKS):
            chunk = list(islice(examples, cell.chunk_size))
            for worker in workers[:: 1 if number % 2 else -1]:
                await worker.full_speed(chunk)
        rate = 0.4 * min(median(worker.rates) for worker in workers)
        for number in range(2):
            chunk = list(islice(examples, CONSTANT_RATE_QUESTIONS))
            for worker in workers[:: 1 if number % 2 else -1]:
                await worker.constant_rate(chunk, rate)
    cell.rate, cell.workers = rate, workers


@dataclass
class Cell:
    """Parameters and results of one row of the table."""

    partitions: int
    interval_ms: int
    chunk_size: int
    """Questions in a chunk at full speed."""
    rate: float = 0.0
    """The constant rate, in questions per second."""
    workers: list[BenchWorker] = field(default_factory=list)
    """In the order of `DELIVERIES`."""


def show(cells: Sequence[Cell]) -> None:
    """Prints the table."""
    table = Table(title="exactly once and at least once")
    columns = ("partitions", "interval, ms", "questions/s: at least once", "exactly once")
    ratio_columns = ("ratio, median (min, max)", "CPU time", "p50, ms", "p99, ms")
    for column in (*columns, *ratio_columns):
        table.add_column(column, justify="right")
    for cell in cells:
        at_least_once, exactly_once = cell.workers
        ratios = [b / a for a, b in zip(at_least_once.rates, exactly_once.rates, strict=True)]
        percentiles = [_percentiles(worker.latencies) for worker in cell.workers]
        table.add_row(
            str(cell.partitions),
            str(cell.interval_ms),
            *(f"{median(worker.rates):.1f}" for worker in cell.workers),
            f"{median(ratios):.3f} ({min(ratios):.3f}, {max(ratios):.3f})",
            f"{exactly_once.cpu_seconds / at_least_once.cpu_seconds:.3f}",
            *(f"{a:.0f} / {b:.0f}" for a, b in zip(*percentiles, strict=True)),
        )
    console = Console(width=140)
    console.print(table)
    console.print(
        "CPU time: of the worker, as a ratio to at least once; latencies: at least once / "
        "exactly once, at 0.4 of the lower throughput"
    )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Returns p50 and p99 in milliseconds."""
    hundredths = quantiles(seconds, n=100)
    return 1000 * hundredths[49], 1000 * hundredths[98]


async def run(
    examples: list[Example], partitions: list[int], intervals: list[int], chunk_size: int
) -> None:
    cells = [Cell(count, interval, chunk_size) for count in partitions for interval in intervals]
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
    parser.add_argument("--intervals", default="50,100,500", help="QA_COMMIT_INTERVAL_MS")
    parser.add_argument("--chunk-size", type=int, default=400, help="questions in one turn")
    arguments = parser.parse_args()
    partitions = [int(number) for number in arguments.partitions.split(",")]
    intervals = [int(number) for number in arguments.intervals.split(",")]
    asyncio.run(run(load_squad(arguments.file), partitions, intervals, arguments.chunk_size))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
