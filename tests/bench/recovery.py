"""How long a partition has no answers: after its worker is killed, and after a cut network returns.

`python -m tests.bench.recovery [--rounds 8] [--delivery exactly_once]`

Questions come at a steady rate to every partition. Measured is from the SIGKILL (or from the
return of the network) to the first answer, at a consumer that reads committed, to a question of
one of that worker's partitions that was sent after it. Three nodes, the real model.
"""

import argparse
import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from tests.faults.cluster import Cluster
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.settings import KafkaSettings

PARTITIONS = 6
RATE = 30.0
"""Questions per second: well below what a worker can do."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    bound: str
    """What bounds it."""
    environment: dict[str, str]
    measure: Callable[["Stage"], Any]


class Stage:
    """A cluster, topics, a stream of questions, and when which was answered."""

    def __init__(self, cluster: Cluster, environment: dict[str, str]) -> None:
        self.cluster = cluster
        self.topics = Topics(cluster.servers, environment, partitions=PARTITIONS)
        self._sent: dict[str, float] = {}
        self._answered: list[tuple[float, float, int]] = []  # arrived, sent, partition
        self._news = asyncio.Condition()

    async def start(self, stack: AsyncExitStack) -> None:
        qa = self.topics.settings.qa
        await self.cluster.create_topics(
            qa.questions_topic, qa.answers_topic, qa.dead_letters_topic, partitions=PARTITIONS
        )
        producer = AIOKafkaProducer(bootstrap_servers=self.cluster.servers)
        consumer = AIOKafkaConsumer(
            qa.answers_topic,
            bootstrap_servers=self.cluster.servers,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
        )
        for client in (producer, consumer):
            await stack.enter_async_context(client)
        for part in (self._ask(producer), self._listen(consumer)):
            task = asyncio.create_task(part)
            stack.push_async_callback(_ended, task)

    def worker(self, slot: int) -> WorkerProcess:
        servers = self.cluster.servers_of(slot)
        return WorkerProcess({**self.topics.environment, "KAFKA_BOOTSTRAP_SERVERS": servers})

    async def first_answer(self, partitions: Sequence[int], after: float) -> float:
        """Seconds from `after` to the first answer, there, to a question that was sent later."""
        async with asyncio.timeout(120), self._news:
            while True:
                for arrived, sent, partition in self._answered:
                    if sent > after and partition in partitions:
                        return arrived - after
                await self._news.wait()

    async def _ask(self, producer: AIOKafkaProducer) -> None:
        number = 0
        while True:
            value = event(number)
            self._sent[f"q-{number}"] = time.monotonic()
            await producer.send(
                self.topics.settings.qa.questions_topic, value, partition=number % PARTITIONS
            )
            number += 1
            await asyncio.sleep(1 / RATE)

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            answer = json.loads(record.value)
            sent = self._sent[answer["id"]]
            async with self._news:
                self._answered.append((time.monotonic(), sent, answer["source"]["partition"]))
                del self._answered[:-1000]
                self._news.notify_all()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def killed(stage: Stage) -> float:
    """Two workers; one is killed, and nothing restarts it."""
    async with stage.worker(0) as victim, stage.worker(1) as other:
        await until(lambda: len(_assigned(other)) < PARTITIONS, "both have partitions")
        await until(lambda: len(_assigned(victim)) < PARTITIONS, "both have partitions")
        partitions = _assigned(victim)
        await stage.first_answer(partitions, time.monotonic())
        await asyncio.sleep(random.uniform(0, 3))  # anywhere between two heartbeats
        victim.kill()
        return await stage.first_answer(partitions, time.monotonic())


def cut(how: str, seconds: float) -> Callable[[Stage], Any]:
    """One worker, and its way to all brokers."""

    async def measure(stage: Stage) -> float:
        everything = range(PARTITIONS)
        async with stage.worker(0):
            await stage.first_answer(everything, time.monotonic())
            await asyncio.sleep(random.uniform(0, 3))
            for proxy in stage.cluster.proxies[0]:
                getattr(proxy, how)()
            await asyncio.sleep(seconds)
            for proxy in stage.cluster.proxies[0]:
                await proxy.restore()
            return await stage.first_answer(everything, time.monotonic())

    return measure


def _assigned(worker: WorkerProcess) -> list[int]:
    events = worker.events("assigned")
    return list(events[-1]["partitions"]) if events else list(range(PARTITIONS))


_HEARTBEAT = {"KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms)}
_QUICK = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEARTBEAT_INTERVAL_MS": "1000"}
CASES = [
    Case("SIGKILL, defaults", "session timeout 10 s + heartbeat 1 s", _HEARTBEAT, killed),
    Case("SIGKILL, session 6 s, heartbeat 1 s", "6 s + 1 s", _QUICK, killed),
    Case("cut (reset) for 5 s", "the client's backoff", _HEARTBEAT, cut("cut", 5)),
    Case("black hole for 5 s", "TCP's retransmission", _HEARTBEAT, cut("stall", 5)),
    Case("black hole for 20 s", "rejoining the group", _HEARTBEAT, cut("stall", 20)),
]


async def run(rounds: int, delivery: str) -> None:
    found: dict[str, list[float]] = {case.name: [] for case in CASES}
    async with Cluster(2) as cluster:
        with progress() as bar:
            task = bar.add_task("recoveries", total=rounds * len(CASES), speed="")
            for _ in range(rounds):
                for case in CASES:
                    stage = Stage(cluster, {**case.environment, "QA_DELIVERY": delivery})
                    async with AsyncExitStack() as stack:
                        await stage.start(stack)
                        found[case.name].append(await case.measure(stage))
                    bar.advance(task)
    table = Table(title=f"seconds to the first answer, {delivery}, {rounds} each")
    for column in ("", "p50", "largest", "least", "bounded by"):
        table.add_column(column)
    for case in CASES:
        seconds = found[case.name]
        points = (median(seconds), max(seconds), min(seconds))
        table.add_row(case.name, *(f"{point:.1f}" for point in points), case.bound)
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--delivery", default="exactly_once")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.rounds, arguments.delivery))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
