"""Compares a model with a candidate that runs beside it as a shadow, on a SQuAD file.

`python -m tests.bench.shadow SQUAD.json --weights DIR [--base int8|default] [--questions 2000]`

DIR holds config.json, tokenizer and model.safetensors. `qa-worker model convert` makes the
candidate of them, in float32. The base is the same weights in int8 per token, as the default model
is made, so that only the precision differs; or the default model itself, whose own weights may be
others: its card names them. Two workers with two groups read the same questions, one thread each;
then `qa-worker answers compare` joins their answers and scores both against the file.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad
from worker.observability import logging_setup

PARTITIONS = 4
CANDIDATE, INT8 = "float32", "int8"


def qa_worker(environment: Mapping[str, str], *arguments: str) -> None:
    """Run a command with its output on this terminal. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", "worker", *arguments]
    subprocess.run(command, env={**os.environ, **environment}, check=True)


@asynccontextmanager
async def joined(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """A worker that has joined its group, however long the machine takes to load its model."""
    worker = WorkerProcess(environment, forked=False)
    try:
        while not worker.events("assigned"):
            if worker.process.poll() is not None:
                raise SystemExit(worker.output)
            await asyncio.sleep(0.5)
        yield
    finally:
        await worker.__aexit__(None, None, None)


async def answer_beside(
    production: BenchTopics, shadow: BenchTopics, questions: Sequence[Example]
) -> None:
    """Create the topics and let both workers read all questions."""
    await production.create()
    await shadow.create()
    values = [
        json.dumps({"id": each.id, "question": each.question, "context": each.context}).encode()
        for each in questions
    ]
    # The questions follow once both workers are ready: loading a model takes a core.
    async with (
        production,
        shadow,
        joined(production.environment),
        joined(shadow.environment),
    ):
        await production.send(values, key=None)
        ends = await production.ends()
        with progress() as bar:
            tasks = [bar.add_task(name, total=len(values), speed="") for name in ("left", "right")]
            committed = [0, 0]
            while min(committed) < len(values):
                await asyncio.sleep(1)
                for number, topics in enumerate((production, shadow)):
                    offsets = await topics.committed()
                    committed[number] = sum(offset or 0 for offset in offsets.values())
                    bar.update(tasks[number], completed=committed[number])
        assert await production.committed() == await shadow.committed() == ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--base", choices=(INT8, "default"), default=INT8)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--sample", type=float, default=1.0)
    parser.add_argument("--show", type=int, default=10)
    arguments = parser.parse_args()
    logging_setup.configure("error", "console")
    examples = load_squad(arguments.squad)
    # Evenly spread: neighbours share a context.
    count = min(arguments.questions, len(examples))
    questions = [examples[number * len(examples) // count] for number in range(count)]
    with tempfile.TemporaryDirectory() as directory, ApacheKafka() as kafka:
        models = {"QA_MODELS": directory, "QA_NO_ANSWER": "false"}
        convert = "model", "convert", str(arguments.weights), "--name"
        qa_worker(models, *convert, CANDIDATE)
        if arguments.base == INT8:
            qa_worker(models, *convert, INT8, "--quantize", "per-token")
        production = BenchTopics(
            kafka.bootstrap_servers,
            {**models, "QA_THREADS": "1", "QA_MODEL": arguments.base},
            partitions=PARTITIONS,
        )
        shadow = BenchTopics(
            kafka.bootstrap_servers,
            {
                **models,
                "QA_THREADS": "1",
                "QA_MODEL": CANDIDATE,
                "QA_SAMPLE": str(arguments.sample),
                "QA_QUESTIONS_TOPIC": production.settings.qa.questions_topic,
            },
            partitions=PARTITIONS,
        )
        asyncio.run(answer_beside(production, shadow, questions))
        qa_worker(
            production.environment,
            *("answers", "compare", "--left", production.settings.qa.answers_topic),
            *("--right", shadow.settings.qa.answers_topic, "--sample", str(arguments.sample)),
            *("--gold", str(arguments.squad), "--show", str(arguments.show)),
        )


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
