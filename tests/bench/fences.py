"""Measures the cost of one transactional id (fence) for each input partition.

`python -m tests.bench.fences [--partitions 1,12,48]`

Compares the worker's producers on shared connections with one aiokafka producer for each partition.
Each measurement runs in a separate process, on a cluster of three nodes: first from the start until
all partitions are fenced and their committed offsets are known, then one transaction with one
record for each partition, concurrently.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.console import Console
from rich.table import Table

from tests.bench.process import cpu_seconds, rss_mib
from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from worker.cli.terminal import progress
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.records import OutputRecord
from worker.kafka.topics import create_topics
from worker.kafka.transactions import (
    TransactionalProducer,
    fetch_stable_offset,
    transactional_id,
)
from worker.settings.environment import load

VARIANTS = ("shared", "producers")
ROUNDS = 3
MAX_MESSAGE_BYTES = 1_000_000


async def shared(partitions: Sequence[TopicPartition]) -> dict[str, float]:
    """Measures the worker's `TransactionalProducer`, whose instances share connections."""
    settings = load()
    client = BrokerClient(client_for_transactions(settings.kafka))
    limits = {settings.qa.answers_topic: MAX_MESSAGE_BYTES}
    meter = Meter()
    await client.start()
    group = settings.kafka.group_id
    producers = [
        TransactionalProducer(client, settings.kafka, transactional_id(group, partition), limits)
        for partition in partitions
    ]

    async def fence(index: int) -> None:
        await producers[index].init_transactions()
        await fetch_stable_offset(client, group, partitions[index])

    await asyncio.gather(*map(fence, range(len(producers))))
    meter.fenced()

    async def commit(index: int) -> None:
        record = OutputRecord(settings.qa.answers_topic, None, b"x", [], source_partition=index)
        await producers[index].commit([record], {partitions[index]: 1})

    await asyncio.gather(*map(commit, range(len(producers))))
    figures = meter.committed()
    await client.stop()
    return figures


async def separate_producers(partitions: Sequence[TopicPartition]) -> dict[str, float]:
    """Measures one transactional `AIOKafkaProducer` for each partition."""
    settings = load()
    group, servers = settings.kafka.group_id, settings.kafka.bootstrap_servers
    meter = Meter()
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign(partitions)

    async def fence(partition: TopicPartition) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=servers, transactional_id=transactional_id(group, partition)
        )
        await producer.start()
        await consumer.committed(partition)
        return producer

    producers = await asyncio.gather(*map(fence, partitions))
    meter.fenced()

    async def commit(index: int) -> None:
        producer = producers[index]
        await producer.begin_transaction()
        await producer.send_and_wait(settings.qa.answers_topic, b"x", partition=index)
        await producer.send_offsets_to_transaction({partitions[index]: 1}, group)
        await producer.commit_transaction()

    await asyncio.gather(*map(commit, range(len(producers))))
    figures = meter.committed()
    await asyncio.gather(*(producer.stop() for producer in producers))
    await consumer.stop()
    return figures


class Meter:
    """Measures time, CPU time, memory and sockets of this process since its creation."""

    def __init__(self) -> None:
        self._memory = rss_mib(os.getpid())
        self._sockets = _sockets()
        self._began = time.perf_counter()
        self._cpu = cpu_seconds(os.getpid())
        self._figures: dict[str, float] = {}

    def fenced(self) -> None:
        """Ends the first phase: all partitions are fenced."""
        self._figures["fenced"] = time.perf_counter() - self._began
        self._began = time.perf_counter()

    def committed(self) -> dict[str, float]:
        """Ends the second phase, and returns all figures: seconds, MiB, and a number."""
        return self._figures | {
            "committed": time.perf_counter() - self._began,
            "cpu": cpu_seconds(os.getpid()) - self._cpu,
            "memory": rss_mib(os.getpid()) - self._memory,
            "connections": _sockets() - self._sockets,
        }


def _sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum("socket:" in str(link.readlink()) for link in links if link.is_symlink())


def _measure_in_process(variant: str, topics: BenchTopics) -> dict[str, float]:
    environment = {**os.environ, **topics.environment}
    command = [sys.executable, "-m", "tests.bench.fences", "--measure", variant]
    result = subprocess.run(
        [*command, "--partitions", str(topics.partitions)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


async def compare(counts: Sequence[int]) -> None:
    table = Table(title=f"a fence for each partition, three nodes, median of {ROUNDS}")
    for column in (
        "partitions",
        "variant",
        "connections",
        "memory, MiB",
        "until all are fenced, s",
        "one transaction for each, s",
        "CPU, s",
    ):
        table.add_column(column, justify="right")
    with ApacheKafka(3) as kafka, progress() as bar:
        task = bar.add_task("measurements", total=len(counts) * ROUNDS * len(VARIANTS), speed="")
        for count in counts:
            figures: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
            for round_ in range(ROUNDS):
                for variant in VARIANTS[:: 1 if round_ % 2 else -1]:
                    topics = BenchTopics(kafka.bootstrap_servers, partitions=count)
                    await create_topics(topics.settings, partitions=count, replication=3)
                    measured = await asyncio.to_thread(_measure_in_process, variant, topics)
                    figures[variant].append(measured)
                    bar.advance(task)
            for variant in VARIANTS:

                def median_of(name: str, rounds: list[dict[str, Any]] = figures[variant]) -> float:
                    return float(median(measured[name] for measured in rounds))

                table.add_row(
                    str(count),
                    variant,
                    f"{median_of('connections'):.0f}",
                    f"{median_of('memory'):.1f}",
                    f"{median_of('fenced'):.2f}",
                    f"{median_of('committed'):.2f}",
                    f"{median_of('cpu'):.2f}",
                )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", default="1,12,48")
    parser.add_argument("--measure", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    counts = [int(number) for number in arguments.partitions.split(",")]
    if arguments.measure is None:
        os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
        asyncio.run(compare(counts))
        return
    topic = load().qa.questions_topic
    partitions = [TopicPartition(topic, number) for number in range(counts[0])]
    measure = {"shared": shared, "producers": separate_producers}[arguments.measure]
    print(json.dumps(asyncio.run(measure(partitions))))


if __name__ == "__main__":
    main()
