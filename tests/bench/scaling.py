"""Measures how fast a worker joins and leaves a group under a backlog, and its throughput.

`python -m tests.bench.scaling SQUAD.json [--questions 4000] [--rounds 3] [--against DIR]`

Twelve partitions have a backlog; every worker has one engine thread. A second worker starts while
the first one works: "join" is the time from the start of its process to its first assigned
partition. Then it gets SIGTERM: "leave" is the time from the signal until the first worker has all
partitions again. Throughput is that of one worker over the whole backlog, from its assignment to
the last answer. With `--against` every round also measures the worker of another checkout.
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
from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import load_squad

PARTITIONS = 12
STEADY_ANSWERS = 200
"""Number of answers after which the first worker runs at full speed."""


@dataclass
class Figures:
    """Measurements of one checkout, one for each round. Durations are in seconds."""

    join: list[float] = field(default_factory=list)
    leave: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    """Questions per second of one worker."""
    cold_start: list[float] = field(default_factory=list)
    peak_rss_mib: list[float] = field(default_factory=list)


class Backlog:
    """New topics with the questions. Workers run the code of the checkout `tree`."""

    def __init__(self, servers: str, tree: Path, environment: dict[str, str]) -> None:
        self.topics = BenchTopics(servers, environment, partitions=PARTITIONS)
        self._tree = tree

    def worker(self) -> WorkerProcess:
        """Returns a worker that is not started yet."""
        # PYTHONSAFEPATH: otherwise the current directory precedes the checkout in sys.path.
        environment = {
            **self.topics.environment,
            "PYTHONPATH": str(self._tree),
            "PYTHONSAFEPATH": "1",
        }
        # Uses the checkout's defaults for the settings that `Topics` shortens.
        for name in ("QA_COMMIT_INTERVAL_MS", "KAFKA_HEARTBEAT_INTERVAL_MS"):
            environment.pop(name, None)
        return WorkerProcess(environment, forked=False)

    async def fill(self, values: list[bytes]) -> None:
        """Creates the topics and sends the questions."""
        await self.topics.create()
        topic = self.topics.settings.qa.questions_topic
        async with AIOKafkaProducer(
            bootstrap_servers=self.topics.servers, linger_ms=20, max_batch_size=256 * 1024
        ) as producer:
            for number, value in enumerate(values):
                await producer.send(topic, value, partition=number % PARTITIONS)

    async def wait_for_answers(self, count: int) -> None:
        """Waits until the answers topic has `count` answers."""
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


async def measure(servers: str, tree: Path, values: list[bytes], figures: Figures) -> None:
    """Runs one round, and adds the results to `figures`."""
    environment = {"QA_THREADS": "1"}
    backlog = Backlog(servers, tree, environment)
    await backlog.fill(values)
    started = time.time()
    async with backlog.worker() as first:
        figures.cold_start.append(
            _assigned_at(first, lambda partitions: len(partitions) == PARTITIONS) - started
        )
        await backlog.wait_for_answers(STEADY_ANSWERS)
        started = time.time()
        async with backlog.worker() as second:
            figures.join.append(_assigned_at(second, bool) - started)
            await asyncio.sleep(1)
            stopped = time.time()
            second.signal(signal.SIGTERM)

            def has_all() -> bool:
                return len(first.events("assigned")[-1]["partitions"]) == PARTITIONS

            await until(has_all, "the first worker has all partitions")
            figures.leave.append(
                _assigned_at(first, lambda partitions: len(partitions) == PARTITIONS) - stopped
            )
            await second.ended()
    backlog = Backlog(servers, tree, environment)
    await backlog.fill(values)
    async with backlog.worker() as worker:
        await backlog.wait_for_answers(len(values))
        # Measured from the assignment, not from an early answer: a worker publishes answers in
        # offset order, so it has finished many more questions than it has published.
        began = _assigned_at(worker, lambda partitions: len(partitions) == PARTITIONS)
        figures.rate.append(len(values) / (time.time() - began))
        figures.peak_rss_mib.append(peak_rss_mib(worker.process.pid))


def _assigned_at(worker: WorkerProcess, condition: Callable[[list[int]], bool]) -> float:
    """Returns the time of the last assignment that fulfils the condition, from the worker's log.

    The time is in seconds since the epoch.
    """
    events = [event for event in worker.events("assigned") if condition(event["partitions"])]
    return datetime.fromisoformat(events[-1]["timestamp"]).timestamp()


async def run(values: list[bytes], rounds: int, trees: dict[str, Path]) -> None:
    figures = {name: Figures() for name in trees}
    with ApacheKafka() as kafka, progress() as bar:
        task = bar.add_task("rounds", total=rounds * len(trees), speed="")
        for number in range(rounds):
            names = list(trees) if number % 2 == 0 else list(trees)[::-1]
            for name in names:
                await measure(kafka.bootstrap_servers, trees[name], values, figures[name])
                bar.advance(task)
    table = Table(
        title=f"{len(values)} questions, {PARTITIONS} partitions, 1 thread per worker, "
        f"{rounds} rounds: median (min, max)"
    )
    columns = ("", "cold start, s", "join, s", "leave, s", "questions/s of one", "peak RSS, MiB")
    for column in columns:
        table.add_column(column)
    for name, of in figures.items():
        rows = (of.cold_start, of.join, of.leave, of.rate, of.peak_rss_mib)
        table.add_row(name, *map(_summary, rows))
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
        trees["other checkout"] = arguments.against.resolve()
    asyncio.run(run(values, arguments.rounds, trees))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
