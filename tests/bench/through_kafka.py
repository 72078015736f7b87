"""All of a SQuAD file through Apache Kafka and one worker, beside the reader alone.

`python -m tests.bench.through_kafka SQUAD.json [--model DIR | --base-size] [--questions N]`

Sends every question to a worker process, scores what arrives on the answers topic, and reads the
same questions with the same settings in this process. The two take turns on pieces of the file,
in alternating order, so that the machine's moods hit both; the worker idles while the reader
works, and the other way round. Driver, broker and worker share the machine's cores.
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
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.inference.cpu_quota import available_cores
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered
from worker.model_tools.evaluation.squad import EvaluationResult, Example, load_squad, score
from worker.models.store import ModelStore
from worker.settings import KafkaSettings, WorkerSettings

PARTITIONS = 4
PIECES = 4
WARM_UP_RECORDS = 3000


@dataclass
class Measured:
    """One side of the comparison; seconds by piece."""

    predictions: dict[str, str] = field(default_factory=dict)
    records: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass
class Processor:
    """Seconds of processor time while records went through Kafka."""

    worker: float = 0.0
    broker: float = 0.0
    driver: float = 0.0
    idle: float = 0.0


class Driver:
    """Sends questions and collects answers, in this process."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._producer = AIOKafkaProducer(
            bootstrap_servers=topics.servers, linger_ms=20, max_batch_size=256 * 1024
        )
        self._consumer = AIOKafkaConsumer(
            topics.settings.qa.answers_topic,
            bootstrap_servers=topics.servers,
            auto_offset_reset="earliest",
            # Few fetches, since the broker's time is the worker's; but the last answers of a piece
            # are there within a tenth of a second.
            fetch_min_bytes=16 * 1024,
            fetch_max_wait_ms=100,
        )

    async def start(self) -> None:
        await self._producer.start()
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def through(self, piece: Sequence[bytes], into: Measured) -> None:
        """Send a piece, and wait for as many answers."""
        began = time.perf_counter()
        for number, value in enumerate(piece):
            await self._producer.send(
                self._topics.settings.qa.questions_topic, value, partition=number % PARTITIONS
            )
        raw: list[bytes] = []
        while len(raw) < len(piece):
            fetched: dict[Any, list[Any]] = await self._consumer.getmany(timeout_ms=500)
            raw += [record.value for records in fetched.values() for record in records]
        into.seconds.append(time.perf_counter() - began)
        into.records += len(raw)
        for value in raw:
            document = json.loads(value)
            into.predictions[document["id"]] = document["answer"]


def alone(reader: InferenceEngine, piece: Sequence[Example], into: Measured) -> None:
    """The same questions with the same threads, in this process."""
    began = time.perf_counter()
    for outcome in map_ordered(reader, (example.event() for example in piece)):
        assert isinstance(outcome, Answer), outcome
        into.predictions[outcome.id] = outcome.answer
        into.records += 1
    into.seconds.append(time.perf_counter() - began)


async def compare(examples: list[Example], model: Path | None) -> None:
    # What the tests hurry is left at its default here.
    environment = {
        "QA_COMMIT_INTERVAL_MS": str(WorkerSettings().commit_interval_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
    }
    if model is not None:
        environment["QA_MODEL"] = str(model)
    with ApacheKafka() as kafka:
        topics = Topics(kafka.bootstrap_servers, environment, partitions=PARTITIONS)
        await topics.create()
        await _warm_up(kafka.bootstrap_servers)
        settings = topics.settings
        reader = InferenceEngine(
            ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.inference
        )
        driver = Driver(topics)
        async with WorkerProcess(topics.environment) as worker:
            await driver.start()
            reader.start()
            streamed, direct, spent = Measured(), Measured(), Processor()
            await _take_turns(examples, driver, reader, worker, kafka, (streamed, direct, spent))
            rss = peak_rss_mib(worker.process.pid)
            padded = await worker.metric("qa_padding_tokens_total")
            run = await worker.metric("qa_inference_tokens_total")
            windows = await worker.metric("qa_windows_total")
            worker.signal(signal.SIGTERM)
            code = await worker.ended()
            reader.close()
            await driver.stop()
    table = Table(title=f"{len(examples)} questions, {settings.qa.inference.threads} threads")
    for column in ("", "through Kafka", "reader alone"):
        table.add_column(column, justify="left" if not column else "right")
    sides = (streamed, direct)
    scores = [score(examples, side.predictions) for side in sides]
    rates = [len(examples) / sum(side.seconds) for side in sides]
    ratios = [b / a for a, b in zip(streamed.seconds, direct.seconds, strict=True)]
    table.add_row("records back", *(f"{side.records}" for side in sides))
    table.add_row("distinct ids", *(f"{len(side.predictions)}" for side in sides))
    table.add_row("EM", *(f"{s.exact_match:.4f}" for s in scores))
    table.add_row("F1", *(f"{s.f1:.4f}" for s in scores))
    table.add_row("questions/s", *(f"{rate:.1f}" for rate in rates))
    console = Console(width=110)
    console.print(table)
    total = sum(streamed.seconds) * available_cores()
    figures = Table(show_header=False)
    figures.add_row("share of the reader's speed, whole run", f"{rates[0] / rates[1]:.3f}")
    figures.add_row(
        f"share by piece, median of {len(ratios)} (least, most)",
        f"{median(ratios):.3f} ({min(ratios):.3f}, {max(ratios):.3f})",
    )
    for name, seconds in asdict(spent).items():
        figures.add_row(f"processor: {name}", f"{seconds / total:.1%}")
    rest = total - sum(asdict(spent).values())
    figures.add_row("processor: everything else on the machine", f"{rest / total:.1%}")
    figures.add_row("worker's peak RSS", f"{rss:.0f} MiB")
    figures.add_row("windows run by the worker", f"{windows:.0f}")
    figures.add_row("padded tokens / run tokens", f"{padded / run:.4f}")
    figures.add_row("worker's exit code", f"{code}")
    console.print(figures)
    _insist(examples, sides, scores)


async def _warm_up(servers: str) -> None:
    """Let the broker's JVM compile what it will run: in production it did so long ago."""
    scratch = Topics(servers, partitions=1)
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
    reader: InferenceEngine,
    worker: WorkerProcess,
    kafka: ApacheKafka,
    results: tuple[Measured, Measured, Processor],
) -> None:
    streamed, direct, spent = results
    values = [
        json.dumps({"id": e.id, "question": e.question, "context": e.context}).encode()
        for e in examples
    ]
    size = -(-len(examples) // PIECES)

    async def kafka_turn(start: int) -> None:
        def now() -> Processor:
            return Processor(
                cpu_seconds(worker.process.pid),
                cpu_seconds(kafka.pid()),
                time.process_time(),
                idle_seconds(),
            )

        before = now()
        await driver.through(values[start : start + size], streamed)
        after = now()
        for part in fields(Processor):
            took = getattr(after, part.name) - getattr(before, part.name)
            setattr(spent, part.name, getattr(spent, part.name) + took)

    with progress() as bar:
        task = bar.add_task("pieces", total=2 * PIECES, speed="")
        for number, start in enumerate(range(0, len(examples), size)):
            if number % 2:
                await kafka_turn(start)
                bar.advance(task)
            await asyncio.to_thread(alone, reader, examples[start : start + size], direct)
            bar.advance(task)
            if not number % 2:
                await kafka_turn(start)
                bar.advance(task)


def _insist(
    examples: list[Example], sides: Sequence[Measured], scores: list[EvaluationResult]
) -> None:
    streamed, direct = sides
    if streamed.predictions != direct.predictions or scores[0] != scores[1]:
        raise SystemExit("the answers that came through Kafka differ from the reader's own")
    if len(streamed.predictions) != len(examples):
        raise SystemExit("answers are missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, help="a bundle; default: the embedded one")
    parser.add_argument("--base-size", action="store_true", help="random, DistilBERT-base's size")
    parser.add_argument("--questions", type=int, help="only the first N")
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
