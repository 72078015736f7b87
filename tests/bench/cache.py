"""Throughput through Kafka with and without the answer cache, for topics that repeat questions.

`python -m tests.bench.cache SQUAD.json [--shares 0,30,60] [--chunks 4] [--chunk-size 400]`

Two workers with the same model use the same broker, one with `QA_CACHE_BYTES=0`. They take turns on
the same chunks, in alternating order. Of each chunk a share repeats other questions of it, in any
order, with ids of their own; no question of a chunk is in another one. Without other costs the
cache makes a worker 1 / (1 - share) times as fast.
"""

import argparse
import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.bench_worker import BenchWorker, open_bench_worker
from tests.brokers.apache import ApacheKafka
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

PARTITIONS = 4
WARM_UP = 100
OFF, ON = "off", "on"
ENVIRONMENTS = {OFF: {"QA_CACHE_BYTES": "0"}, ON: {}}


@dataclass
class Cell:
    """The results of one worker at one share."""

    rates: list[float] = field(default_factory=list)
    """Questions per second of each chunk."""
    cpu_seconds: float = 0.0
    repeats: float = 0.0
    """Hits and waits."""
    lookups: float = 0.0


def chunk_of(examples: Iterator[Example], size: int, share: float, seed: int) -> list[Example]:
    """The next examples, and repetitions of them, shuffled; `size` together."""
    chance = random.Random(seed)
    different = list(islice(examples, round(size * (1 - share))))
    chunk = different + chance.choices(different, k=size - len(different))
    chance.shuffle(chunk)
    return chunk


async def measure(
    examples: Sequence[Example], shares: Sequence[float], chunks: int, chunk_size: int
) -> dict[tuple[float, str], Cell]:
    """The results by share and worker."""
    source = iter(examples)
    cells = {(share, name): Cell() for share in shares for name in ENVIRONMENTS}
    async with AsyncExitStack() as stack:
        kafka = stack.enter_context(ApacheKafka())
        workers = {
            name: await open_bench_worker(
                stack, kafka.bootstrap_servers, environment, partitions=PARTITIONS
            )
            for name, environment in ENVIRONMENTS.items()
        }
        warm_up = list(islice(source, WARM_UP))
        for worker in workers.values():
            await worker.full_speed(warm_up)
        bar = stack.enter_context(progress())
        task = bar.add_task("turns", total=chunks * len(shares) * len(workers), speed="")
        for number in range(chunks):
            for share in shares:
                chunk = chunk_of(source, chunk_size, share, number)
                if len(chunk) < chunk_size:
                    raise SystemExit("the file has too few questions: lower --chunks")
                for name in list(workers)[:: 1 if number % 2 else -1]:
                    await turn(workers[name], chunk, cells[share, name])
                    bar.advance(task)
    assert not any(cell.lookups for (_, name), cell in cells.items() if name == OFF)
    return cells


async def turn(worker: BenchWorker, chunk: Sequence[Example], cell: Cell) -> None:
    """Adds the results of one chunk to `cell`."""
    cpu, repeats, lookups = worker.cpu_seconds, *await counts(worker)
    await worker.full_speed(chunk)
    cell.rates.append(worker.rates[-1])
    cell.cpu_seconds += worker.cpu_seconds - cpu
    repeats_after, lookups_after = await counts(worker)
    cell.repeats += repeats_after - repeats
    cell.lookups += lookups_after - lookups


async def counts(worker: BenchWorker) -> tuple[float, float]:
    """Hits and waits, and all lookups so far."""
    hits, waits, misses = [
        await worker.process.metric(f'qa_cache_lookups_total{{result="{result}"}}')
        for result in ("hit", "wait", "miss")
    ]
    return hits + waits, hits + waits + misses


def show(cells: dict[tuple[float, str], Cell], shares: Sequence[float]) -> None:
    """Prints the table."""
    table = Table(title="answer cache")
    columns = ("repeats", "found", "questions/s: off", "on", "ratio, median (min, max)")
    for column in (*columns, "1 / (1 - share)", "CPU time, off / on"):
        table.add_column(column, justify="right")
    for share in shares:
        off, on = cells[share, OFF], cells[share, ON]
        ratios = [b / a for a, b in zip(off.rates, on.rates, strict=True)]
        table.add_row(
            f"{share:.0%}",
            f"{on.repeats / on.lookups:.1%}",
            f"{median(off.rates):.1f}",
            f"{median(on.rates):.1f}",
            f"{median(ratios):.3f} ({min(ratios):.3f}, {max(ratios):.3f})",
            f"{1 / (1 - share):.2f}",
            f"{off.cpu_seconds / on.cpu_seconds:.3f}",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--shares", default="0,30,60", help="repeated questions, in percent")
    parser.add_argument("--chunks", type=int, default=4, help="turns of each worker at each share")
    parser.add_argument("--chunk-size", type=int, default=400, help="questions in one turn")
    arguments = parser.parse_args()
    shares = [int(percent) / 100 for percent in arguments.shares.split(",")]
    # Some questions are in the file several times.
    examples = {(each.question, each.context): each for each in load_squad(arguments.file)}
    cells = asyncio.run(
        measure([*examples.values()], shares, arguments.chunks, arguments.chunk_size)
    )
    show(cells, shares)


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
