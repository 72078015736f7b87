"""How long questions of one partition wait while another partition has a backlog.

`python -m tests.bench.hot_partition [--backlog 12000] [--questions 10]`

One worker has both partitions. The wait of a question is the time from its timestamp to that of its
answer.
"""

import argparse
import asyncio
import json
import os
import signal
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import event
from tests.streaming.worker_process import WorkerProcess
from worker.settings import KafkaSettings, WorkerSettings

BETWEEN_SECONDS = 1.0
"""Between two questions of the other partition."""


async def measure(backlog: int, questions: int) -> None:
    environment = {
        "QA_THREADS": "1",
        "QA_COMMIT_INTERVAL_MS": str(WorkerSettings().commit_interval_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
    }
    with ApacheKafka() as kafka:
        async with BenchTopics(kafka.bootstrap_servers, environment) as topics:
            await topics.create()
            async with WorkerProcess(topics.environment, forked=False) as worker:
                await topics.send([event(n) for n in range(backlog)], partition=0)
                for number in range(backlog, backlog + questions):
                    await asyncio.sleep(BETWEEN_SECONDS)
                    await topics.send([event(number)], partition=1)
                asked = await _timestamps(topics, topics.settings.qa.questions_topic)
                late = [f"q-{number}" for number in range(backlog, backlog + questions)]
                while not (answered := await _answers(topics)).keys() >= set(late):  # noqa: ASYNC110 - a topic has no event
                    await asyncio.sleep(BETWEEN_SECONDS)
                before = sum(each not in late for each in answered)
                worker.signal(signal.SIGTERM)
                await worker.ended()
    waits = [(answered[each] - asked[each]) / 1000 for each in late]
    table = Table(title=f"{questions} questions beside a backlog of {backlog}", show_header=False)
    table.add_row("wait, s: shortest, median, longest", _seconds(waits))
    table.add_row("answers of the backlog by then", str(before))
    Console(width=100).print(table)


async def _answers(topics: BenchTopics) -> dict[str, int]:
    return await _timestamps(topics, topics.settings.qa.answers_topic)


async def _timestamps(topics: BenchTopics, topic: str) -> dict[str, int]:
    """Event id to the record's timestamp in milliseconds."""
    return {json.loads(each.value)["id"]: each.timestamp for each in await topics.records(topic)}


def _seconds(waits: list[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in (min(waits), median(waits), max(waits)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=12_000)
    parser.add_argument("--questions", type=int, default=10)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.backlog, arguments.questions))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
