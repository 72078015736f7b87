"""`qa-worker run`: the worker, until SIGTERM."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from typing import NoReturn

import structlog

from worker import __version__
from worker.cli.tracing import tracing
from worker.console.server import PREFIX, Console
from worker.inference.engine import InferenceEngine
from worker.kafka.connection import connection_options
from worker.models.store import ModelStore
from worker.observability import logging_setup, metrics
from worker.observability.health import Health
from worker.observability.http_server import OpsServer
from worker.observability.record_trace import TraceDispatcher, TraceListener
from worker.settings import Settings
from worker.settings.environment import load
from worker.streaming.supervisor import WorkerSupervisor
from worker.streaming.watchdog import PULSE_SECONDS

log = structlog.get_logger(__name__)

CONTACT_SECONDS = 4 * PULSE_SECONDS
"""The brokers count as away after this silence: two pulses that each waited for their time."""


def run() -> None:
    """Answer questions from the topic until SIGTERM."""
    settings = load()
    connection_options(settings.kafka)  # what cannot work stops the start before the model loads
    logging_setup.configure(settings.qa.log_level, settings.qa.log_format)
    with tracing(settings) as followers:
        asyncio.run(_serve(settings, followers))


async def _serve(settings: Settings, followers: Sequence[TraceListener]) -> None:
    qa = settings.qa
    stop = asyncio.Event()
    _stop_on_signals(stop)
    health = Health(time.monotonic, stall_after=qa.stall_seconds, contact_after=CONTACT_SECONDS)
    console = Console(settings, health) if qa.console else None
    pages = {PREFIX: console.app} if console else {}
    observatory = OpsServer(health, qa.http_host, qa.http_port, pages)
    await observatory.start()
    try:
        # Model and memory first, the group last: a worker that joins can work.
        reader = await asyncio.to_thread(open_reader, settings)
        log.info(
            "started",
            version=__version__,
            model=reader.model.name,
            sha256=reader.model.sha256,
            precision=reader.model.precision,
            provider=reader.model.provider,
            threads=reader.options.threads,
            http_port=observatory.port,
        )
        if console:
            console.opened(reader.model, reader.event_type, __version__)
            followers = [*followers, console.following]
        try:
            pipeline = WorkerSupervisor(settings, reader, health, TraceDispatcher(*followers))
            await _within_budget(pipeline, stop, qa.shutdown_seconds)
        finally:
            reader.close()
    finally:
        await observatory.stop()
    log.info("stopped")


def open_reader(settings: Settings) -> InferenceEngine:
    """Open the model and start the threads. Raises `BundleError` and `ProviderError`."""
    bundle = ModelStore(settings.qa.models).open(settings.qa.model)
    if settings.qa.no_answer and not bundle.manifest.knows_no_answer:
        log.warning(
            "model_lacks_no_answer_training",
            model=bundle.name,
            why="its manifest does not say that it was trained on unanswerable questions",
        )
    reader = InferenceEngine(bundle, settings.qa.reading())
    reader.start()
    metrics.INFO.info(
        {
            "version": __version__,
            "model": reader.model.name,
            "sha256": reader.model.sha256,
            "precision": reader.model.precision,
            "provider": reader.model.provider,
        }
    )
    return reader


async def _within_budget(pipeline: WorkerSupervisor, stop: asyncio.Event, seconds: float) -> None:
    """Run; once told to stop, for `seconds` at most. Raises what the pipeline raises."""
    work = asyncio.create_task(pipeline.run(stop))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await asyncio.wait([work], timeout=seconds)
    if not work.done():
        # What is not committed is read again by whoever takes the partitions over.
        log.error("shutdown_budget_exceeded", seconds=seconds)
        _leave()
    work.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        log.info("signal", name=number.name, again=stop.is_set())
        if stop.is_set():
            _leave()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)


def _leave() -> NoReturn:
    """End at once. Safe at any point: offsets are committed only behind what was acknowledged."""
    os._exit(1)
