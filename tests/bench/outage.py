"""A worker whose brokers are gone for a while: its memory meanwhile, and when it answers again.

`python -m tests.bench.outage [--minutes 10] [--delivery exactly_once]`

The worker is at work when the broker is killed, and has questions in flight. Nothing restarts it.
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer
from rich.console import Console
from rich.table import Table

from tests.bench.process import cpu_seconds, rss_mib
from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.settings import KafkaSettings, WorkerSettings

SAMPLE_SECONDS = 5.0
BEFORE, MEANWHILE = 2000, 100


async def measure(minutes: float, delivery: str) -> None:
    environment = {
        "QA_DELIVERY": delivery,
        "QA_COMMIT_INTERVAL_MS": str(WorkerSettings().commit_interval_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(KafkaSettings().heartbeat_interval_ms),
    }
    with ApacheKafka() as kafka:
        async with Topics(kafka.bootstrap_servers, environment, partitions=4) as topics:
            await topics.create()
            async with WorkerProcess(topics.environment) as worker:
                await topics.send([event(n) for n in range(BEFORE)], key=None)
                await until(lambda: _answered(worker, BEFORE - MEANWHILE), "it is at work")
                before = rss_mib(worker.process.pid)
                await asyncio.to_thread(kafka.kill)
                cpu = cpu_seconds(worker.process.pid)
                samples = await _wait(worker, minutes * 60)
                spent = cpu_seconds(worker.process.pid) - cpu
                alive, _ = await worker.get("/healthz")
                await asyncio.to_thread(kafka.restart)
                returned = time.monotonic()
                await topics.send([event(n) for n in range(BEFORE, BEFORE + MEANWHILE)], key=None)
                first = await _first_new_answer(topics) - returned
                await until(lambda: topics.has(BEFORE + MEANWHILE), "all is answered")
                ids = await topics.ids()
                breaks = len(worker.events("session_failed"))
                after = rss_mib(worker.process.pid)
                worker.signal(signal.SIGTERM)
                code = await worker.ended()
    _show(minutes, delivery, before, samples, after, spent, alive, breaks, first, ids, code)


async def _answered(worker: WorkerProcess, count: int) -> bool:
    return await worker.metric("qa_answers_total") >= count


async def _wait(worker: WorkerProcess, seconds: float) -> list[float]:
    samples = []
    with progress() as bar:
        task = bar.add_task("without brokers", total=seconds, speed="")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(SAMPLE_SECONDS)
            samples.append(rss_mib(worker.process.pid))
            bar.update(task, completed=seconds - (end - time.monotonic()))
    return samples


async def _first_new_answer(topics: Topics) -> float:
    """When a consumer that reads committed sees one that it has not seen before the outage."""
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


def _show(
    minutes: float,
    delivery: str,
    before: float,
    samples: Sequence[float],
    after: float,
    spent: float,
    alive: int,
    breaks: int,
    first: float,
    ids: Sequence[str],
    code: int,
) -> None:
    table = Table(title=f"{minutes:g} minutes without brokers, {delivery}", show_header=False)
    table.add_row("RSS when they went, MiB", f"{before:.0f}")
    quarters = [samples[len(samples) * part // 4 :][: len(samples) // 4] for part in range(4)]
    for number, quarter in enumerate(quarters, 1):
        table.add_row(f"largest in quarter {number}", f"{max(quarter):.1f}")
    table.add_row("when all was answered", f"{after:.0f}")
    table.add_row("processor meanwhile, of one core", f"{spent / (minutes * 60):.2%}")
    table.add_row("/healthz meanwhile", str(alive))
    table.add_row("sessions that broke", str(breaks))
    table.add_row("first answer after the broker served again", f"{first:.1f} s")
    table.add_row("answers, distinct", f"{len(ids)}, {len(set(ids))} of {BEFORE + MEANWHILE}")
    table.add_row("exit code after SIGTERM", str(code))
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--delivery", default="exactly_once")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.minutes, arguments.delivery))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
