"""Measures a worker during and after an outage of its brokers: memory, CPU, time to recover.

`python -m tests.bench.outage [--minutes 10] [--delivery exactly_once]`

The broker is killed while the worker has questions in flight. The worker is not restarted.
"""

import argparse
import asyncio
import os
import signal
import time

from aiokafka import AIOKafkaConsumer
from rich.console import Console
from rich.table import Table

from tests.bench.process import cpu_seconds, rss_mib
from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.settings import KafkaSettings, WorkerSettings

SAMPLE_SECONDS = 5.0
BEFORE, AFTER = 2000, 100
"""Numbers of questions sent before and after the outage."""


async def measure(minutes: float, delivery: str) -> None:
    environment = {
        "QA_DELIVERY": delivery,
        "QA_COMMIT_INTERVAL_MS": str(WorkerSettings().commit_interval_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
    }
    with ApacheKafka() as kafka:
        async with BenchTopics(kafka.bootstrap_servers, environment, partitions=4) as topics:
            await topics.create()
            async with WorkerProcess(topics.environment, forked=False) as worker:
                await topics.send([event(n) for n in range(BEFORE)], key=None)
                # The last 100 questions are in flight when the broker is killed.
                await until(lambda: _answered(worker, BEFORE - 100), "most are answered")
                before = rss_mib(worker.process.pid)
                await asyncio.to_thread(kafka.kill)
                cpu = cpu_seconds(worker.process.pid)
                samples = await _wait(worker, minutes * 60)
                cpu_used = cpu_seconds(worker.process.pid) - cpu
                health_status, _ = await worker.get("/healthz")
                await asyncio.to_thread(kafka.restart)
                restarted = time.monotonic()
                await topics.send([event(n) for n in range(BEFORE, BEFORE + AFTER)], key=None)
                first = await _first_new_answer(topics) - restarted
                await until(lambda: topics.has(BEFORE + AFTER), "all questions are answered")
                ids = await topics.ids()
                failed_sessions = len(worker.events("session_failed"))
                after = rss_mib(worker.process.pid)
                worker.signal(signal.SIGTERM)
                code = await worker.ended()
    quarters = [samples[len(samples) * part // 4 :][: len(samples) // 4] for part in range(4)]
    rows = {
        "RSS at the start of the outage, MiB": f"{before:.0f}",
        **{f"largest in quarter {n}": f"{max(part):.1f}" for n, part in enumerate(quarters, 1)},
        "RSS when all questions are answered": f"{after:.0f}",
        "CPU time during the outage, of one core": f"{cpu_used / (minutes * 60):.2%}",
        "/healthz during the outage": str(health_status),
        "failed sessions": str(failed_sessions),
        "first answer after the broker's restart": f"{first:.1f} s",
        "answers, distinct": f"{len(ids)}, {len(set(ids))} of {BEFORE + AFTER}",
        "exit code after SIGTERM": str(code),
    }
    table = Table(title=f"{minutes:g} minutes without brokers, {delivery}", show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    Console(width=100).print(table)


async def _answered(worker: WorkerProcess, count: int) -> bool:
    return await worker.metric("qa_answers_total") >= count


async def _wait(worker: WorkerProcess, seconds: float) -> list[float]:
    """Waits, and returns samples of the worker's resident memory in MiB."""
    samples = []
    with progress() as bar:
        task = bar.add_task("without brokers", total=seconds, speed="")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(SAMPLE_SECONDS)
            samples.append(rss_mib(worker.process.pid))
            bar.update(task, completed=seconds - (end - time.monotonic()))
    return samples


async def _first_new_answer(topics: BenchTopics) -> float:
    """Returns the monotonic time at which a read_committed consumer gets the next answer."""
    partitions = topics.all_partitions(topics.settings.qa.answers_topic)
    async with AIOKafkaConsumer(
        bootstrap_servers=topics.servers, isolation_level="read_committed"
    ) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, end in ends.items():
            consumer.seek(partition, end)
        await consumer.getone()
        return time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--delivery", default="exactly_once")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.minutes, arguments.delivery))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
