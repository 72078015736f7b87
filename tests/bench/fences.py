"""What a fence for each input partition costs: with connections that the partitions share, as the
worker does it, and with a transactional producer of aiokafka's for each.

`python -m tests.bench.fences [--partitions 1,12,48]`

Each measurement in a process of its own, on a cluster of three nodes: from nothing to the last
partition's committed offset, then one transaction of one record for each partition, all at once.
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
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics
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

WAYS = ("shared", "producers")
ROUNDS = 3
LIMIT = 1_000_000


async def shared(partitions: Sequence[TopicPartition]) -> dict[str, float]:
    """As worker/kafka/transactions.py has it."""
    settings = load()
    link = BrokerClient(client_for_transactions(settings.kafka))
    limits = {settings.qa.answers_topic: LIMIT}
    meter = Meter()
    await link.start()
    group = settings.kafka.group_id
    all_ = [
        TransactionalProducer(link, settings.kafka, transactional_id(group, partition), limits)
        for partition in partitions
    ]

    async def fence(place: int) -> None:
        await all_[place].init_transactions()
        await fetch_stable_offset(link, group, partitions[place])

    await asyncio.gather(*map(fence, range(len(all_))))
    meter.fenced()

    async def commit(place: int) -> None:
        record = OutputRecord(settings.qa.answers_topic, None, b"x", [], source_partition=place)
        await all_[place].commit([record], {partitions[place]: 1})

    await asyncio.gather(*map(commit, range(len(all_))))
    found = meter.committed()
    await link.stop()
    return found


async def producers(partitions: Sequence[TopicPartition]) -> dict[str, float]:
    """The same with what aiokafka has."""
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

    all_ = await asyncio.gather(*map(fence, partitions))
    meter.fenced()

    async def commit(place: int) -> None:
        producer = all_[place]
        await producer.begin_transaction()
        await producer.send_and_wait(settings.qa.answers_topic, b"x", partition=place)
        await producer.send_offsets_to_transaction({partitions[place]: 1}, group)
        await producer.commit_transaction()

    await asyncio.gather(*map(commit, range(len(all_))))
    found = meter.committed()
    await asyncio.gather(*(producer.stop() for producer in all_))
    await consumer.stop()
    return found


class Meter:
    """Of this process, since it was made."""

    def __init__(self) -> None:
        self._memory = rss_mib(os.getpid())
        self._sockets = _sockets()
        self._began = time.perf_counter()
        self._processor = cpu_seconds(os.getpid())
        self._found: dict[str, float] = {}

    def fenced(self) -> None:
        self._found["fenced"] = time.perf_counter() - self._began
        self._began = time.perf_counter()

    def committed(self) -> dict[str, float]:
        return self._found | {
            "committed": time.perf_counter() - self._began,
            "processor": cpu_seconds(os.getpid()) - self._processor,
            "memory": rss_mib(os.getpid()) - self._memory,
            "connections": _sockets() - self._sockets,
        }


def _sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum("socket:" in str(link.readlink()) for link in links if link.is_symlink())


def _in_a_process(way: str, topics: Topics) -> dict[str, float]:
    environment = {**os.environ, **topics.environment}
    command = [sys.executable, "-m", "tests.bench.fences", "--measure", way]
    ended = subprocess.run(
        [*command, "--partitions", str(topics.partitions)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


async def compare(counts: Sequence[int]) -> None:
    table = Table(title=f"a fence for each partition, three nodes, median of {ROUNDS}")
    for column in (
        "partitions",
        "way",
        "connections",
        "memory, MiB",
        "until all are fenced, s",
        "a transaction each, s",
        "processor, s",
    ):
        table.add_column(column, justify="right")
    with ApacheKafka(3) as kafka, progress() as bar:
        task = bar.add_task("measurements", total=len(counts) * ROUNDS * len(WAYS), speed="")
        for count in counts:
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for round_ in range(ROUNDS):
                for way in WAYS[:: 1 if round_ % 2 else -1]:
                    topics = Topics(kafka.bootstrap_servers, partitions=count)
                    await create_topics(topics.settings, partitions=count, replication=3)
                    found[way].append(await asyncio.to_thread(_in_a_process, way, topics))
                    bar.advance(task)
            for way in WAYS:

                def middle(name: str, of: list[dict[str, Any]] = found[way]) -> float:
                    return float(median(each[name] for each in of))

                table.add_row(
                    str(count),
                    way,
                    f"{middle('connections'):.0f}",
                    f"{middle('memory'):.1f}",
                    f"{middle('fenced'):.2f}",
                    f"{middle('committed'):.2f}",
                    f"{middle('processor'):.2f}",
                )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", default="1,12,48")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    counts = [int(number) for number in arguments.partitions.split(",")]
    if arguments.measure is None:
        os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
        asyncio.run(compare(counts))
        return
    topic = load().qa.questions_topic
    partitions = [TopicPartition(topic, number) for number in range(counts[0])]
    way = {"shared": shared, "producers": producers}[arguments.measure]
    print(json.dumps(asyncio.run(way(partitions))))


if __name__ == "__main__":
    main()
