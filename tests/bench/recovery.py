"""Measures how long a partition has no answers after a SIGKILL or after a network failure.

`python -m tests.bench.recovery [--rounds 8] [--delivery exactly_once]`

All partitions receive questions at a constant rate. The result is the time from the SIGKILL, or
from the return of the network, to the first answer at a read_committed consumer to a later question
in a partition of the affected worker. Uses a cluster of three nodes and the default model.
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

from tests.bench.topics import BenchTopics
from tests.faults.cluster import Cluster
from tests.streaming.topics import event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.settings import KafkaSettings

PARTITIONS = 6
RATE = 30.0
"""Questions per second, far below the throughput of a worker."""


@dataclass(frozen=True, slots=True)
class Case:
    """A failure to measure."""

    name: str
    bound: str
    """The mechanism that limits the recovery time."""
    environment: dict[str, str]
    measure: Callable[["Traffic"], Any]


class Traffic:
    """Sends questions at a constant rate, and records the arrival times of the answers."""

    def __init__(self, cluster: Cluster, environment: dict[str, str]) -> None:
        self.cluster = cluster
        self.topics = BenchTopics(cluster.servers, environment, partitions=PARTITIONS)
        self._sent: dict[str, float] = {}
        self._answered: list[tuple[float, float, int]] = []  # arrived, sent, partition
        self._new_answer = asyncio.Condition()

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
        for loop in (self._send_questions(producer), self._receive_answers(consumer)):
            task = asyncio.create_task(loop)
            stack.push_async_callback(_cancel, task)

    def worker(self, slot: int) -> WorkerProcess:
        """Returns a worker, not started yet, that uses the proxies of this slot."""
        servers = self.cluster.servers_of(slot)
        return WorkerProcess(
            {**self.topics.environment, "KAFKA_BOOTSTRAP_SERVERS": servers}, forked=False
        )

    async def first_answer(self, partitions: Sequence[int], after: float) -> float:
        """Returns the seconds from `after` to the first answer to a later question.

        Only questions in these partitions count. Raises `TimeoutError` after 120 s.
        """
        async with asyncio.timeout(120), self._new_answer:
            while True:
                for arrived, sent, partition in self._answered:
                    if sent > after and partition in partitions:
                        return arrived - after
                await self._new_answer.wait()

    async def _send_questions(self, producer: AIOKafkaProducer) -> None:
        number = 0
        while True:
            value = event(number)
            self._sent[f"q-{number}"] = time.monotonic()
            await producer.send(
                self.topics.settings.qa.questions_topic, value, partition=number % PARTITIONS
            )
            number += 1
            await asyncio.sleep(1 / RATE)

    async def _receive_answers(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            answer = json.loads(record.value)
            sent = self._sent[answer["id"]]
            async with self._new_answer:
                self._answered.append((time.monotonic(), sent, answer["source"]["partition"]))
                del self._answered[:-1000]
                self._new_answer.notify_all()


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def killed(traffic: Traffic) -> float:
    """Kills one of two workers, and does not restart it."""
    async with traffic.worker(0) as victim, traffic.worker(1) as other:
        await until(lambda: len(_assigned(other)) < PARTITIONS, "both have partitions")
        await until(lambda: len(_assigned(victim)) < PARTITIONS, "both have partitions")
        partitions = _assigned(victim)
        await traffic.first_answer(partitions, time.monotonic())
        await asyncio.sleep(random.uniform(0, 3))  # at a random time between two heartbeats
        victim.kill()
        return await traffic.first_answer(partitions, time.monotonic())


def disconnected(fault: str, seconds: float) -> Callable[[Traffic], Any]:
    """Returns a measurement of one worker whose connections to all brokers fail for this time.

    `fault` is a method of the proxy: `cut` or `stall`.
    """

    async def measure(traffic: Traffic) -> float:
        partitions = range(PARTITIONS)
        async with traffic.worker(0):
            await traffic.first_answer(partitions, time.monotonic())
            await asyncio.sleep(random.uniform(0, 3))
            for proxy in traffic.cluster.proxies[0]:
                getattr(proxy, fault)()
            await asyncio.sleep(seconds)
            for proxy in traffic.cluster.proxies[0]:
                await proxy.restore()
            return await traffic.first_answer(partitions, time.monotonic())

    return measure


def _assigned(worker: WorkerProcess) -> list[int]:
    events = worker.events("assigned")
    return list(events[-1]["partitions"]) if events else list(range(PARTITIONS))


_HEARTBEAT = {"KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms)}
_SHORT_SESSION = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEARTBEAT_INTERVAL_MS": "1000"}
CASES = [
    Case("SIGKILL, defaults", "session timeout 10 s + heartbeat 1 s", _HEARTBEAT, killed),
    Case("SIGKILL, session 6 s, heartbeat 1 s", "6 s + 1 s", _SHORT_SESSION, killed),
    Case("network reset for 5 s", "the client's backoff", _HEARTBEAT, disconnected("cut", 5)),
    Case("black hole for 5 s", "TCP's retransmission", _HEARTBEAT, disconnected("stall", 5)),
    Case("black hole for 20 s", "rejoining the group", _HEARTBEAT, disconnected("stall", 20)),
]


async def run(rounds: int, delivery: str) -> None:
    recovery_seconds: dict[str, list[float]] = {case.name: [] for case in CASES}
    async with Cluster(2) as cluster:
        with progress() as bar:
            task = bar.add_task("recoveries", total=rounds * len(CASES), speed="")
            for _ in range(rounds):
                for case in CASES:
                    traffic = Traffic(cluster, {**case.environment, "QA_DELIVERY": delivery})
                    async with AsyncExitStack() as stack:
                        await traffic.start(stack)
                        recovery_seconds[case.name].append(await case.measure(traffic))
                    bar.advance(task)
    table = Table(title=f"seconds to the first answer, {delivery}, {rounds} rounds")
    for column in ("", "p50", "max", "min", "bounded by"):
        table.add_column(column)
    for case in CASES:
        seconds = recovery_seconds[case.name]
        figures = (median(seconds), max(seconds), min(seconds))
        table.add_row(case.name, *(f"{figure:.1f}" for figure in figures), case.bound)
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
