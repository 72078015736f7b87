"""What exactly-once delivery costs: throughput and latency of both deliveries, side by side.

`python -m tests.bench.deliveries SQUAD.json [--partitions 1,4,12] [--intervals 50,100,500]`

Two workers with the same model live on the same broker, one of each delivery. They take turns on
pieces of the file, in alternating order: first as fast as they go, then at a steady rate below
that, for the time from a question's sending to its answer at a consumer that reads committed. The
broker is one node: with replicas on other machines every step of a transaction takes longer.
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

from tests.bench.turns import Side, open_side
from tests.brokers.apache import ApacheKafka
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

DELIVERIES = ("at_least_once", "exactly_once")
PIECES = 4
STEADY = 100
"""Questions of a piece at a steady rate."""


async def measure(examples: Iterator[Example], kafka: ApacheKafka, cell: "Cell") -> None:
    """One cell of the table."""
    async with AsyncExitStack() as stack:
        sides = [
            await open_side(
                stack,
                kafka.bootstrap_servers,
                {"QA_DELIVERY": delivery, "QA_COMMIT_INTERVAL_MS": str(cell.interval_ms)},
                partitions=cell.partitions,
            )
            for delivery in DELIVERIES
        ]
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
