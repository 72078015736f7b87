"""Measures a rolling restart of three workers under load: static against dynamic members.

`python -m tests.bench.rolling_restart [--delivery exactly_once] [--rounds 1]`

Every partition receives questions at a constant rate. Each worker gets SIGTERM, and is started
again when it has exited; the next one follows when it has its partitions and 3 s have passed.
"Surge" starts a fourth worker before each SIGTERM, as a Deployment does. Figures: partitions that
another worker owned afterwards, rebalances at the workers that went on, and the longest time
between two answers of a partition at a read_committed consumer. One broker, the default model.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress

MEMBERS = 3
PARTITIONS = 6
RATE = 30.0
"""Questions per second, far below the throughput of a worker."""
PAUSE_SECONDS = 3.0

STATIC = {"KAFKA_SESSION_TIMEOUT_MS": "60000"}
DYNAMIC = {"KAFKA_HEARTBEAT_INTERVAL_MS": "1000"}


@dataclass
class Silences:
    """The arrival times of each partition's answers."""

    arrivals: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def longest(self, since: float) -> list[float]:
        """For each partition, the longest time between two answers, in seconds."""
        now = time.monotonic()
        longest = []
        for times in self.arrivals.values():
            later = [since, *(t for t in times if t > since), now]
            longest.append(max(b - a for a, b in pairwise(later)))
        return longest


@dataclass
class Result:
    moved: int
    rebalances: int
    longest: list[float]
    """By partition, in seconds."""


async def roll(servers: str, kind: str, delivery: str) -> Result:
    """`kind`: static, dynamic, or surge."""
    environment = {**(STATIC if kind == "static" else DYNAMIC), "QA_DELIVERY": delivery}
    topics = BenchTopics(servers, {**environment, "QA_THREADS": "1"}, PARTITIONS)
    await topics.create()
    async with AsyncExitStack() as stack:

        async def start(member: int) -> WorkerProcess:
            named = {"KAFKA_GROUP_INSTANCE_ID": f"qa-worker-{member}"} if kind == "static" else {}
            worker = WorkerProcess({**topics.environment, **named}, forked=False)
            stack.push_async_exit(worker)
            await worker.ready()
            return worker

        workers = [await start(member) for member in range(MEMBERS)]
        share = PARTITIONS // MEMBERS
        await until(lambda: all(len(_owned(w)) == share for w in workers), "all share")
        silences = await stack.enter_async_context(_traffic(topics))
        await asyncio.sleep(2 * PAUSE_SECONDS)
        began, owners = time.monotonic(), _owners(workers)
        moved = rebalances = 0
        for member, worker in enumerate(list(workers)):
            others = [other for other in workers if other is not worker]
            before = [len(other.events("assigned")) for other in others]
            replacement = await start(member) if kind == "surge" else None
            worker.signal(signal.SIGTERM)
            await worker.ended()
            workers[member] = replacement or await start(member)
            await until(lambda: len(_owners(workers)) == PARTITIONS, "every partition is owned")
            await asyncio.sleep(PAUSE_SECONDS)
            after = _owners(workers)
            moved += sum(after.get(partition) != slot for partition, slot in owners.items())
            owners = after
            rebalances += sum(
                len(other.events("assigned")) - count
                for other, count in zip(others, before, strict=True)
            )
        result = Result(moved, rebalances, silences.longest(began))
        for worker in workers:
            worker.signal(signal.SIGTERM)
            await worker.ended()
        return result


def _owned(worker: WorkerProcess) -> list[int]:
    events = worker.events("assigned")
    return list(events[-1]["partitions"]) if events else []


def _owners(workers: list[WorkerProcess]) -> dict[int, int]:
    """Partition to the slot of the worker that has it."""
    return {partition: slot for slot, worker in enumerate(workers) for partition in _owned(worker)}


@asynccontextmanager
async def _traffic(topics: BenchTopics) -> AsyncIterator[Silences]:
    qa = topics.settings.qa
    silences = Silences()
    async with (
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
        AIOKafkaConsumer(
            qa.answers_topic,
            bootstrap_servers=topics.servers,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
        ) as consumer,
    ):

        async def send() -> None:
            for number in range(1_000_000):
                await producer.send(
                    qa.questions_topic, event(number), partition=number % PARTITIONS
                )
                await asyncio.sleep(1 / RATE)

        async def receive() -> None:
            async for record in consumer:
                partition = json.loads(record.value)["source"]["partition"]
                silences.arrivals[partition].append(time.monotonic())

        tasks = [asyncio.create_task(part()) for part in (send, receive)]
        try:
            yield silences
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def compare(delivery: str, rounds: int) -> None:
    kinds = {
        "static": "static members",
        "dynamic": "dynamic members",
        "surge": "dynamic members, surge (Deployment)",
    }
    results: dict[str, list[Result]] = {kind: [] for kind in kinds}
    with ApacheKafka() as kafka, progress() as bar:
        task = bar.add_task("rolling restarts", total=rounds * len(kinds), speed="")
        for _ in range(rounds):
            for kind in kinds:
                results[kind].append(await roll(kafka.bootstrap_servers, kind, delivery))
                bar.advance(task)
    table = Table(title=f"{MEMBERS} workers, one after another, {delivery}, rounds: {rounds}")
    table.add_column("")
    for column in (
        "partitions moved",
        "rebalances of the others",
        "longest silence, s",
        "median of the partitions' longest, s",
    ):
        table.add_column(column, justify="right")
    for kind, name in kinds.items():
        silences = [seconds for each in results[kind] for seconds in each.longest]
        table.add_row(
            name,
            f"{mean(each.moved for each in results[kind]):g}",
            f"{mean(each.rebalances for each in results[kind]):g}",
            f"{max(silences):.1f}",
            f"{median(silences):.1f}",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delivery", default="exactly_once")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    asyncio.run(compare(arguments.delivery, arguments.rounds))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
