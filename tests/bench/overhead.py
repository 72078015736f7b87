"""What being watched costs: throughput and processor time without metrics, with metrics, and with
metrics and traces.

`python -m tests.bench.overhead SQUAD.json [--pieces 8] [--piece 400]`

Three workers with the same model live on the same broker and take turns on pieces of the file, in
an order that goes round. Metrics are read every 5 s, three times as often as Prometheus does by
default; every record is traced, to a collector that throws everything away. Both are in the
driver's process, on the same cores.
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

from tests.bench.turns import Side, open_side
from tests.brokers.apache import ApacheKafka
from tests.streaming.worker_process import WORKER
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import Example, load_squad

PARTITIONS = 4
UNMEASURED, MEASURED, TRACED = "neither", "metrics", "metrics and traces"
WARM_UP = 100
SCRAPE_SECONDS = 5.0


@asynccontextmanager
async def _discarding() -> AsyncIterator[tuple[str, list[int]]]:
    """A collector's endpoint, and the sizes of what came."""
    sizes: list[int] = []

    async def receive(request: web.Request) -> web.Response:
        sizes.append(len(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/traces", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", sizes
    finally:
        await runner.cleanup()


async def _scrape(side: Side) -> None:
    while True:
        await side.worker.get("/metrics")
        await asyncio.sleep(SCRAPE_SECONDS)


async def _turn(side: Side, piece: Sequence[Example], *, scraped: bool) -> None:
    scraping = asyncio.create_task(_scrape(side)) if scraped else None
    await side.burst(piece)
    if scraping is not None:
        scraping.cancel()
        await asyncio.wait([scraping])


async def measure(examples: list[Example], pieces: int, size: int) -> dict[str, Side]:
    source = iter(examples)
    async with AsyncExitStack() as stack:
        kafka = stack.enter_context(ApacheKafka())
        endpoint, sizes = await stack.enter_async_context(_discarding())
        traced = {"QA_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        sides = {
            name: await open_side(
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
        warm = list(islice(source, WARM_UP))
        for side in sides.values():
            await side.burst(warm)
            side.rates.clear()
            side.worker_seconds = 0.0
        bar = stack.enter_context(progress())
        task = bar.add_task("turns", total=pieces * len(sides), speed="")
        for number in range(pieces):
            piece = list(islice(source, size))
            names = list(sides)
            first = number % len(names)
            for name in names[first:] + names[:first]:
                await _turn(sides[name], piece, scraped=name != UNMEASURED)
                bar.advance(task)
        assert sum(sizes), "nothing was traced"
        assert await sides[UNMEASURED].worker.metric("qa_answers_total") == 0
    return sides


def show(sides: dict[str, Side], questions: int) -> None:
    table = Table(title="watched and not")
    for column in ("", "questions/s", "share, median (least, most)", "processor, ms a question"):
        table.add_column(column, justify="right")
    base = sides[UNMEASURED]
    for name, side in sides.items():
        shares = [a / b for a, b in zip(side.rates, base.rates, strict=True)]
        table.add_row(
            name,
            f"{median(side.rates):.1f}",
            f"{median(shares):.3f} ({min(shares):.3f}, {max(shares):.3f})",
            f"{1000 * side.worker_seconds / questions:.2f}"
            f" ({side.worker_seconds / base.worker_seconds:.3f})",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pieces", type=int, default=8, help="turns of each")
    parser.add_argument("--piece", type=int, default=400, help="questions of a turn")
    arguments = parser.parse_args()
    examples = load_squad(arguments.file)
    sides = asyncio.run(measure(examples, arguments.pieces, arguments.piece))
    show(sides, arguments.pieces * arguments.piece)


if __name__ == "__main__":
    main()
