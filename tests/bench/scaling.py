"""How fast a worker joins and leaves a group under a backlog, and what bounding the drain costs.

`python -m tests.bench.scaling SQUAD.json [--questions 4000] [--rounds 3] [--against DIR]`

Twelve partitions hold a backlog; every worker has one engine thread. A second worker starts while
the first one works: join is from the start of its process to its first assigned partition. Then it
gets SIGTERM: leave is from the signal until the first worker has all partitions again. Throughput
is one worker's over the whole backlog, from its assignment to the last answer. With `--against`
every round also measures the worker in another checkout, so that both see the same machine.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from tests.bench.process import peak_rss_mib
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import load_squad

PARTITIONS = 12
STEADY_ANSWERS = 200
"""After so many the first worker is at its full speed."""


@dataclass
class Measured:
    """Of one checkout, a value for each round."""

    join: list[float] = field(default_factory=list)
    leave: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)


class Backlog:
    """Fresh topics that hold the questions, and a count of the answers."""

    def __init__(self, servers: str, tree: Path, environment: dict[str, str]) -> None:
        self.topics = Topics(servers, environment, partitions=PARTITIONS)
        self._tree = tree

    def worker(self) -> WorkerProcess:
        # Safe path: else the current directory comes before that checkout.
        environment = {
            **self.topics.environment,
            "PYTHONPATH": str(self._tree),
            "PYTHONSAFEPATH": "1",
        }
        # Left at the defaults of that checkout: what the tests shorten.
        for name in ("QA_COMMIT_INTERVAL_MS", "KAFKA_HEARTBEAT_INTERVAL_MS"):
            environment.pop(name, None)
        return WorkerProcess(environment)

    async def fill(self, values: list[bytes]) -> None:
        await self.topics.create()
        topic = self.topics.settings.qa.questions_topic
        async with AIOKafkaProducer(
            bootstrap_servers=self.topics.servers, linger_ms=20, max_batch_size=256 * 1024
        ) as producer:
            for number, value in enumerate(values):
                await producer.send(topic, value, partition=number % PARTITIONS)

    async def wait_for_answers(self, count: int) -> None:
        async with AIOKafkaConsumer(
            self.topics.settings.qa.answers_topic,
            bootstrap_servers=self.topics.servers,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
        ) as consumer:
            seen = 0
            while seen < count:
                fetched = await consumer.getmany(timeout_ms=500)
                seen += sum(map(len, fetched.values()))


async def measure(servers: str, tree: Path, values: list[bytes], into: Measured) -> None:
    environment = {"QA_THREADS": "1"}
    backlog = Backlog(servers, tree, environment)
    await backlog.fill(values)
    started = time.time()
    async with backlog.worker() as first:
        into.cold.append(_when(first, lambda partitions: len(partitions) == PARTITIONS) - started)
        await backlog.wait_for_answers(STEADY_ANSWERS)
        started = time.time()
        async with backlog.worker() as second:
            into.join.append(_when(second, bool) - started)
            await asyncio.sleep(1)
            stopped = time.time()
            second.signal(signal.SIGTERM)

            def has_all() -> bool:
                return len(first.events("assigned")[-1]["partitions"]) == PARTITIONS

            await until(has_all, "the first worker has all partitions")
            into.leave.append(_when(first, lambda each: len(each) == PARTITIONS) - stopped)
            await second.ended()
    backlog = Backlog(servers, tree, environment)
    await backlog.fill(values)
    async with backlog.worker() as worker:
        await backlog.wait_for_answers(len(values))
        # From the assignment, not from an early answer: answers leave in offset order, so a worker
        # with much in flight has finished many more questions than it has published.
        began = _when(worker, lambda partitions: len(partitions) == PARTITIONS)
        into.alone.append(len(values) / (time.time() - began))
        into.rss.append(peak_rss_mib(worker.process.pid))


def _when(worker: WorkerProcess, wanted: Callable[[list[int]], bool]) -> float:
    """When the last assignment of this kind was logged, in seconds since the epoch."""
    events = [each for each in worker.events("assigned") if wanted(each["partitions"])]
    return datetime.fromisoformat(events[-1]["timestamp"]).timestamp()


async def run(values: list[bytes], rounds: int, trees: dict[str, Path]) -> None:
    found = {name: Measured() for name in trees}
    with ApacheKafka() as kafka, progress() as bar:
        task = bar.add_task("rounds", total=rounds * len(trees), speed="")
        for number in range(rounds):
            names = list(trees) if number % 2 == 0 else list(trees)[::-1]
            for name in names:
                await measure(kafka.bootstrap_servers, trees[name], values, found[name])
                bar.advance(task)
    table = Table(
        title=f"{len(values)} questions, {PARTITIONS} partitions, 1 thread a worker, "
        f"{rounds} rounds: median (least, most)"
    )
    columns = ("", "cold start, s", "join, s", "leave, s", "questions/s alone", "peak RSS, MiB")
    for column in columns:
        table.add_column(column)
    for name, its in found.items():
        figures = (its.cold, its.join, its.leave, its.alone, its.rss)
        table.add_row(name, *(_summary(each) for each in figures))
    Console(width=140).print(table)


def _summary(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}, {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--questions", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    examples = load_squad(arguments.squad)[: arguments.questions]
    values = [
        json.dumps({"id": e.id, "question": e.question, "context": e.context}).encode()
        for e in examples
    ]
    trees = {"this checkout": Path(__file__).parents[2]}
    if arguments.against:
        trees["the other"] = arguments.against.resolve()
    asyncio.run(run(values, arguments.rounds, trees))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
