"""Measures two questions topics with weights on one worker: shares, latency, throughput.

`python -m tests.bench.weighted_topics SQUAD.json [--seconds 60] [--rate 10] [--chunk 500]
[--rounds 5]`

"Flooded": both topics have a backlog; the share of the tokens that the model runs for each.
"Latency": questions of the interactive topic at a constant rate, from their sending to their answer
(read_committed), alone and beside a backlog of the batch topic. "Quiet": the batch topic's
questions per second at full speed while the interactive topic has none, against a worker of that
topic alone; their chunks alternate.
"""

import argparse
import asyncio
import json
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from tests.bench.bench_worker import BenchWorker, open_bench_worker
from tests.brokers.apache import ApacheKafka
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.observability import logging_setup
from worker.settings import WorkerSettings

PARTITIONS = 4
WEIGHTS = {"batch": 1, "interactive": 8}
BACKLOG_PER_SECOND = 150
"""Questions that a backlog has for each second: more than a worker answers."""
SETTLE_SECONDS = 5.0
"""From the sending of the backlog to the measurement."""

_TOKENS = re.compile(r'^qa_queue_tokens_total\{queue="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass
class Figures:
    """Latencies in seconds, rates in questions per second, one for each chunk."""

    tokens: Counter[str] = field(default_factory=Counter)
    """Tokens that the model ran for each topic while both had a backlog."""
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    one_topic: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)


@dataclass
class Worker:
    """A worker of the topics `batch`, to which its `BenchWorker` sends, and `interactive`."""

    bench: BenchWorker
    batch: str
    interactive: str

    async def fill(self, topic: str, examples: Sequence[Example], count: int) -> None:
        """Send a backlog."""
        for number, each in enumerate(islice(cycle(examples), count)):
            await self._send(topic, f"{topic}-{number}", each, number)
        await self.bench.producer.flush()

    async def tokens(self) -> Counter[str]:
        """Tokens run so far, by topic."""
        _, page = await self.bench.process.get("/metrics")
        return Counter({topic: int(float(value)) for topic, value in _TOKENS.findall(page)})

    async def latencies(
        self, examples: Sequence[Example], rate: float, seconds: float
    ) -> list[float]:
        """Of questions of the interactive topic, `rate` in each second."""
        sent: dict[str, float] = {}
        count = int(rate * seconds)

        async def send() -> None:
            began = time.perf_counter()
            for number, example in enumerate(islice(cycle(examples), count)):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                id_ = f"asked-{number}"
                sent[id_] = time.perf_counter()
                await self._send(self.interactive, id_, example, number)

        sending = asyncio.create_task(send())
        arrived: dict[str, float] = {}
        while len(arrived) < count:
            fetched = await self.bench.consumer.getmany(timeout_ms=1000)
            now = time.perf_counter()
            for records in fetched.values():
                for record in records:
                    id_ = json.loads(record.value)["id"]
                    if id_.startswith("asked-"):
                        arrived[id_] = now
        await sending
        return [arrived[id_] - sent[id_] for id_ in sent]

    async def _send(self, topic: str, id_: str, example: Example, number: int) -> None:
        value = json.dumps({"id": id_, "question": example.question, "context": example.context})
        await self.bench.producer.send(topic, value.encode(), partition=number % PARTITIONS)


@asynccontextmanager
async def worker_of(servers: str, *, topics: int = 2) -> AsyncIterator[Worker]:
    """A worker of both topics, or of `batch` alone, with new topics. Equal questions run again."""
    mark = uuid.uuid4().hex[:8]
    batch, interactive = (f"{name}-{mark}" for name in WEIGHTS)
    both = ",".join(f"{name}-{mark}:{weight}" for name, weight in WEIGHTS.items())
    environment = {
        "QA_QUESTIONS_TOPIC": batch,
        "QA_QUESTIONS_TOPICS": both if topics == 2 else "",
        "QA_CACHE_BYTES": "0",
        "QA_COMMIT_INTERVAL_MS": str(WorkerSettings().commit_interval_ms),
    }
    async with AsyncExitStack() as stack:
        bench = await open_bench_worker(stack, servers, environment, partitions=PARTITIONS)
        yield Worker(bench, batch, interactive)


async def measure(
    examples: Sequence[Example], seconds: float, rate: float, chunk: int, rounds: int
) -> Figures:
    figures = Figures()
    backlog = int((SETTLE_SECONDS + seconds) * BACKLOG_PER_SECOND)
    with ApacheKafka() as kafka, progress() as bar:
        servers = kafka.bootstrap_servers
        task = bar.add_task("phases", total=3 + rounds, speed="")
        async with worker_of(servers) as worker:
            figures.alone = await worker.latencies(examples, rate, seconds)
        bar.advance(task)
        async with worker_of(servers) as worker:
            await worker.fill(worker.batch, examples, backlog)
            await asyncio.sleep(SETTLE_SECONDS)
            figures.beside = await worker.latencies(examples, rate, seconds)
        bar.advance(task)
        async with worker_of(servers) as worker:
            for topic in (worker.batch, worker.interactive):
                await worker.fill(topic, examples, backlog)
            await asyncio.sleep(SETTLE_SECONDS)
            before = await worker.tokens()
            await asyncio.sleep(seconds)
            tokens = await worker.tokens() - before
            figures.tokens = Counter({topic.split("-")[0]: n for topic, n in tokens.items()})
        bar.advance(task)
        async with worker_of(servers) as two, worker_of(servers, topics=1) as one:
            for each in (one, two):  # warm
                await each.bench.full_speed(examples[:chunk])
                each.bench.rates.clear()
            for number in range(rounds):
                start = number * chunk % len(examples)
                part = list(islice(cycle(examples), start, start + chunk))
                for each in (one, two) if number % 2 else (two, one):
                    await each.bench.full_speed(part)
                bar.advance(task)
            figures.one_topic, figures.quiet = one.bench.rates, two.bench.rates
    return figures


def print_table(figures: Figures) -> None:
    console, total = Console(width=100), figures.tokens.total()
    table = Table(title="Both topics have a backlog")
    for column in ("Topic", "Weight", "Tokens", "Share", "By weight"):
        table.add_column(column)
    for topic, weight in WEIGHTS.items():
        tokens = figures.tokens[topic]
        expected = weight / sum(WEIGHTS.values())
        table.add_row(topic, str(weight), str(tokens), f"{tokens / total:.3f}", f"{expected:.3f}")
    console.print(table)
    table = Table(title=f"{len(figures.alone)} questions of the interactive topic")
    for column in ("Batch topic", "p50, ms", "p99, ms", "longest, ms"):
        table.add_column(column)
    for name, latencies in (("quiet", figures.alone), ("a backlog", figures.beside)):
        p99 = quantiles(latencies, n=100)[98]
        cells = (median(latencies), p99, max(latencies))
        table.add_row(name, *(f"{1000 * each:.0f}" for each in cells))
    console.print(table)
    table = Table(title="Batch topic at full speed, questions/s")
    for column in ("Worker of", "Median", "Chunks"):
        table.add_column(column)
    for name, rates in (("the batch topic alone", figures.one_topic), ("both", figures.quiet)):
        chunks = ", ".join(f"{each:.1f}" for each in rates)
        table.add_row(name, f"{median(rates):.1f}", chunks)
    pairs = zip(figures.quiet, figures.one_topic, strict=True)
    table.caption = f"median of the ratios: {median(two / one for two, one in pairs):.3f}"
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=10.0, help="questions per second")
    parser.add_argument("--chunk", type=int, default=500, help="questions at full speed")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    logging_setup.configure("error", "console")
    examples = load_squad(arguments.squad)
    print_table(
        asyncio.run(
            measure(examples, arguments.seconds, arguments.rate, arguments.chunk, arguments.rounds)
        )
    )


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
