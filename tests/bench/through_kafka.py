"""Compares a worker on Apache Kafka with its engine alone, on a SQuAD file.

`python -m tests.bench.through_kafka SQUAD.json [--model DIR | --base-size] [--questions N]`

Sends every question to a worker process and scores the answers topic, and runs the same questions
on an engine with the same settings in this process. The two take turns on chunks of the file, in
alternating order, so that changes of the machine's speed affect both; one is idle while the other
runs. This process, broker and worker share the machine's cores.
"""

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from schemas.answer import Answer
from tests.bench.process import cpu_seconds, idle_seconds, peak_rss_mib
from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.inference.cpu_quota import available_cores
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered
from worker.model_tools.evaluation.squad import EvaluationResult, Example, load_squad, score
from worker.models.store import ModelStore
from worker.settings import KafkaSettings, WorkerSettings

PARTITIONS = 4
CHUNKS = 4
WARM_UP_RECORDS = 3000


@dataclass
class Results:
    """Results of the worker, or of the engine alone."""

    predictions: dict[str, str] = field(default_factory=dict)
    """Best answers by question id."""
    records: int = 0
    seconds: list[float] = field(default_factory=list)
    """Duration of each chunk."""


@dataclass
class CpuTime:
    """Seconds of CPU time during the worker's chunks."""

    worker: float = 0.0
    broker: float = 0.0
    driver: float = 0.0
    idle: float = 0.0


class Driver:
    """Sends questions and receives answers, in this process."""

    def __init__(self, topics: BenchTopics) -> None:
        self._topics = topics
        self._producer = AIOKafkaProducer(
            bootstrap_servers=topics.servers, linger_ms=20, max_batch_size=256 * 1024
        )
        self._consumer = AIOKafkaConsumer(
            topics.settings.qa.answers_topic,
            bootstrap_servers=topics.servers,
            auto_offset_reset="earliest",
            # Few fetches, which take CPU time from the worker. The wait is short, so that the last
            # answers of a chunk arrive within 0.1 s.
            fetch_min_bytes=16 * 1024,
            fetch_max_wait_ms=100,
        )

    async def start(self) -> None:
        await self._producer.start()
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def run(self, chunk: Sequence[bytes], results: Results) -> None:
        """Sends a chunk, waits for its answers, and adds them to `results`."""
        began = time.perf_counter()
        for number, value in enumerate(chunk):
            await self._producer.send(
                self._topics.settings.qa.questions_topic, value, partition=number % PARTITIONS
            )
        answers: list[bytes] = []
        while len(answers) < len(chunk):
            fetched: dict[Any, list[Any]] = await self._consumer.getmany(timeout_ms=500)
            answers += [record.value for records in fetched.values() for record in records]
        results.seconds.append(time.perf_counter() - began)
        results.records += len(answers)
        for value in answers:
            document = json.loads(value)
            results.predictions[document["id"]] = document["answer"]


def run_engine(engine: InferenceEngine, chunk: Sequence[Example], results: Results) -> None:
    """Runs a chunk on the engine, and adds the answers to `results`."""
    began = time.perf_counter()
    for outcome in map_ordered(engine, (example.event() for example in chunk)):
        assert isinstance(outcome, Answer), outcome
        results.predictions[outcome.id] = outcome.answer
        results.records += 1
    results.seconds.append(time.perf_counter() - began)


async def compare(examples: list[Example], model: Path | None) -> None:
    """Runs the comparison and prints the tables. Raises `SystemExit` if the answers differ."""
    # The defaults of the settings that `Topics` shortens for tests.
    environment = {
        "QA_COMMIT_INTERVAL_MS": str(WorkerSettings().commit_interval_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
        # All questions of SQuAD v1.1 have an answer.
        "QA_NO_ANSWER": "false",
    }
    if model is not None:
        environment["QA_MODEL"] = str(model)
    with ApacheKafka() as kafka:
        topics = BenchTopics(kafka.bootstrap_servers, environment, partitions=PARTITIONS)
        await topics.create()
        await _warm_up(kafka.bootstrap_servers)
        settings = topics.settings
        engine = InferenceEngine(
            ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.inference
        )
        driver = Driver(topics)
        async with WorkerProcess(topics.environment, forked=False) as worker:
            await driver.start()
            engine.start()
            streamed, direct, cpu_time = Results(), Results(), CpuTime()
            results = (streamed, direct, cpu_time)
            await _take_turns(examples, driver, engine, worker, kafka, results)
            rss = peak_rss_mib(worker.process.pid)
            padded = await worker.metric("qa_padding_tokens_total")
            run = await worker.metric("qa_inference_tokens_total")
            windows = await worker.metric("qa_windows_total")
            worker.signal(signal.SIGTERM)
            code = await worker.ended()
            engine.close()
            await driver.stop()
    table = Table(title=f"{len(examples)} questions, {settings.qa.inference.threads} threads")
    for column in ("", "through Kafka", "engine alone"):
        table.add_column(column, justify="left" if not column else "right")
    both = (streamed, direct)
    scores = [score(examples, one.predictions) for one in both]
    rates = [len(examples) / sum(one.seconds) for one in both]
    ratios = [b / a for a, b in zip(streamed.seconds, direct.seconds, strict=True)]
    table.add_row("answers", *(f"{one.records}" for one in both))
    table.add_row("distinct ids", *(f"{len(one.predictions)}" for one in both))
    table.add_row("EM", *(f"{s.exact_match:.4f}" for s in scores))
    table.add_row("F1", *(f"{s.f1:.4f}" for s in scores))
    table.add_row("questions/s", *(f"{rate:.1f}" for rate in rates))
    console = Console(width=110)
    console.print(table)
    total = sum(streamed.seconds) * available_cores()
    figures = Table(show_header=False)
    figures.add_row("ratio to the engine's speed, whole run", f"{rates[0] / rates[1]:.3f}")
    figures.add_row(
        f"ratio by chunk, median of {len(ratios)} (min, max)",
        f"{median(ratios):.3f} ({min(ratios):.3f}, {max(ratios):.3f})",
    )
    for name, seconds in asdict(cpu_time).items():
        figures.add_row(f"CPU: {name}", f"{seconds / total:.1%}")
    rest = total - sum(asdict(cpu_time).values())
    figures.add_row("CPU: other processes", f"{rest / total:.1%}")
    figures.add_row("worker's peak RSS", f"{rss:.0f} MiB")
    figures.add_row("windows run by the worker", f"{windows:.0f}")
    figures.add_row("padded tokens / run tokens", f"{padded / run:.4f}")
    figures.add_row("worker's exit code", f"{code}")
    console.print(figures)
    _check(examples, both, scores)


async def _warm_up(servers: str) -> None:
    """Sends records until the broker's JVM has compiled the code, as in production."""
    scratch = BenchTopics(servers, partitions=1)
    await scratch.create()
    topic, group = scratch.settings.qa.answers_topic, scratch.settings.kafka.group_id
    async with (
        AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True) as producer,
        AIOKafkaConsumer(
            topic,
            bootstrap_servers=servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        ) as consumer,
    ):
        for number in range(WARM_UP_RECORDS):
            await producer.send_and_wait(topic, b"x" * 500)
            await consumer.getone()
            if number % 10 == 0:
                await consumer.commit()


async def _take_turns(
    examples: list[Example],
    driver: Driver,
    engine: InferenceEngine,
    worker: WorkerProcess,
    kafka: ApacheKafka,
    results: tuple[Results, Results, CpuTime],
) -> None:
    streamed, direct, cpu_time = results
    values = [
        json.dumps({"id": e.id, "question": e.question, "context": e.context}).encode()
        for e in examples
    ]
    size = -(-len(examples) // CHUNKS)

    async def kafka_turn(start: int) -> None:
        def cpu_so_far() -> CpuTime:
            return CpuTime(
                cpu_seconds(worker.process.pid),
                cpu_seconds(kafka.pid()),
                time.process_time(),
                idle_seconds(),
            )

        before = cpu_so_far()
        await driver.run(values[start : start + size], streamed)
        after = cpu_so_far()
        for part in fields(CpuTime):
            used = getattr(after, part.name) - getattr(before, part.name)
            setattr(cpu_time, part.name, getattr(cpu_time, part.name) + used)

    with progress() as bar:
        task = bar.add_task("chunks", total=2 * CHUNKS, speed="")
        for number, start in enumerate(range(0, len(examples), size)):
            if number % 2:
                await kafka_turn(start)
                bar.advance(task)
            await asyncio.to_thread(run_engine, engine, examples[start : start + size], direct)
            bar.advance(task)
            if not number % 2:
                await kafka_turn(start)
                bar.advance(task)


def _check(
    examples: list[Example], both: Sequence[Results], scores: list[EvaluationResult]
) -> None:
    """Raises `SystemExit` if answers are missing, or differ between worker and engine."""
    streamed, direct = both
    if streamed.predictions != direct.predictions or scores[0] != scores[1]:
        raise SystemExit("the worker's answers differ from the engine's")
    if len(streamed.predictions) != len(examples):
        raise SystemExit("answers are missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, help="a bundle; default: the shipped model")
    parser.add_argument(
        "--base-size", action="store_true", help="random weights of DistilBERT-base's size"
    )
    parser.add_argument("--questions", type=int, help="number of questions, from the first")
    arguments = parser.parse_args()
    examples = load_squad(arguments.file)[: arguments.questions]
    with tempfile.TemporaryDirectory() as scratch:
        model = arguments.model
        if arguments.base_size:
            from tests.bench.random_model import write_bundle

            model = Path(scratch, "distilbert-base-random")
            write_bundle(model)
        asyncio.run(compare(examples, model))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
