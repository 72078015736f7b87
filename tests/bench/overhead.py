"""Measures the cost of metrics, and of traces and metrics by OTLP: throughput and CPU time.

`python -m tests.bench.overhead SQUAD.json [--chunks 8] [--chunk-size 400]`

Three workers with the same model use the same broker and take turns on chunks of the file, in a
rotating order. This process scrapes the metrics every 5 s, three times as often as Prometheus' and
runs a collector that discards the spans and the metrics by OTLP of all records, on the same cores.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path
from statistics import median

from aiohttp import web
from rich.console import Console
from rich.table import Table

from tests.bench.bench_worker import BenchWorker, open_bench_worker
from tests.brokers.apache import ApacheKafka
from tests.http_serving import serve
from tests.streaming.worker_process import WORKER
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

PARTITIONS = 4
UNMEASURED, MEASURED, TRACED = "neither", "metrics", "metrics and traces"
WARM_UP = 100
SCRAPE_SECONDS = 5.0


@asynccontextmanager
async def _discarding_collector() -> AsyncIterator[tuple[str, list[int]]]:
    """Runs a collector. Yields its endpoint, and the sizes in bytes of the requests so far."""
    sizes: list[int] = []

    async def receive(request: web.Request) -> web.Response:
        sizes.append(len(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=2**26)
    for signal in ("traces", "metrics"):
        app.router.add_post(f"/v1/{signal}", receive)
    async with serve(app) as endpoint:
        yield endpoint, sizes


async def _scrape(worker: BenchWorker) -> None:
    while True:
        await worker.process.get("/metrics")
        await asyncio.sleep(SCRAPE_SECONDS)


async def _turn(worker: BenchWorker, chunk: Sequence[Example], *, scraped: bool) -> None:
    scraping = asyncio.create_task(_scrape(worker)) if scraped else None
    await worker.full_speed(chunk)
    if scraping is not None:
        scraping.cancel()
        await asyncio.wait([scraping])


async def measure(examples: list[Example], chunks: int, chunk_size: int) -> dict[str, BenchWorker]:
    """Runs all turns, and returns the workers by name."""
    source = iter(examples)
    async with AsyncExitStack() as stack:
        kafka = stack.enter_context(ApacheKafka())
        endpoint, sizes = await stack.enter_async_context(_discarding_collector())
        traced = {"QA_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        workers = {
            name: await open_bench_worker(
                stack,
                kafka.bootstrap_servers,
                environment,
                partitions=PARTITIONS,
                program=program,
            )
            for name, environment, program in (
                (UNMEASURED, {}, ("tests.bench.unmeasured_worker",)),
                (MEASURED, {}, WORKER),
                (TRACED, traced, WORKER),
            )
        }
        warm_up = list(islice(source, WARM_UP))
        for worker in workers.values():
            await worker.full_speed(warm_up)
            worker.rates.clear()
            worker.cpu_seconds = 0.0
        bar = stack.enter_context(progress())
        task = bar.add_task("turns", total=chunks * len(workers), speed="")
        for number in range(chunks):
            chunk = list(islice(source, chunk_size))
            names = list(workers)
            first = number % len(names)
            for name in names[first:] + names[:first]:
                await _turn(workers[name], chunk, scraped=name != UNMEASURED)
                bar.advance(task)
        assert sum(sizes), "the collector received no traces"
        assert await workers[UNMEASURED].process.metric("qa_answers_total") == 0
    return workers


def show(workers: dict[str, BenchWorker], questions: int) -> None:
    """Prints the table. `questions` is the number of questions that each worker answered."""
    table = Table(title="cost of metrics and traces")
    for column in ("", "questions/s", "ratio, median (min, max)", "CPU, ms per question"):
        table.add_column(column, justify="right")
    base = workers[UNMEASURED]
    for name, worker in workers.items():
        ratios = [a / b for a, b in zip(worker.rates, base.rates, strict=True)]
        table.add_row(
            name,
            f"{median(worker.rates):.1f}",
            f"{median(ratios):.3f} ({min(ratios):.3f}, {max(ratios):.3f})",
            f"{1000 * worker.cpu_seconds / questions:.2f}"
            f" ({worker.cpu_seconds / base.cpu_seconds:.3f})",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--chunks", type=int, default=8, help="turns of each worker")
    parser.add_argument("--chunk-size", type=int, default=400, help="questions in one turn")
    arguments = parser.parse_args()
    examples = load_squad(arguments.file)
    workers = asyncio.run(measure(examples, arguments.chunks, arguments.chunk_size))
    show(workers, arguments.chunks * arguments.chunk_size)


if __name__ == "__main__":
    main()
