"""`qa-worker run`: starts the worker and stops it on SIGTERM or SIGINT.

Responsible for the order of start and stop, signals and the time limit of a shutdown. The work
itself is `WorkerSupervisor`'s.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from typing import NoReturn

import structlog

from worker import __version__
from worker.cli.errors import CommandError
from worker.cli.registry_extra import check_registry_extra
from worker.cli.tracing import tracing
from worker.inference.cache.answer_cache import AnswerCache
from worker.inference.engine import InferenceEngine
from worker.inference.question_answering.spans import ScoreNormalization
from worker.kafka.connection import connection_options
from worker.models.store import ModelStore
from worker.observability import logging_setup, metrics
from worker.observability.health import Health
from worker.observability.http_server import OpsServer
from worker.observability.record_trace import TraceDispatcher, TraceListener
from worker.settings import Settings
from worker.settings.environment import load
from worker.streaming.supervisor import WorkerSupervisor
from worker.streaming.watchdog import CHECK_SECONDS

log = structlog.get_logger(__name__)

CONTACT_SECONDS = 4 * CHECK_SECONDS
"""Without an answer for this many seconds the brokers count as unreachable: two watchdog checks,
each of which waited for its whole timeout."""


def run() -> None:
    """Answer questions from Kafka until SIGTERM."""
    settings = load()
    connection_options(settings.kafka)  # reports wrong settings before the model is loaded
    check_registry_extra(settings)
    logging_setup.configure(settings.qa.log_level, settings.qa.log_format)
    with tracing(settings) as listeners:
        asyncio.run(_serve(settings, listeners))


async def _serve(settings: Settings, listeners: Sequence[TraceListener]) -> None:
    qa = settings.qa
    stop = asyncio.Event()
    _stop_on_signals(stop)
    health = Health(time.monotonic, stall_after=qa.stall_seconds, contact_after=CONTACT_SECONDS)
    console, pages = None, {}
    if qa.console:
        from worker.console.server import PREFIX, Console  # else its imports delay the start

        console = Console(settings, health)
        pages = {PREFIX: console.app}
    ops_server = OpsServer(health, qa.http_host, qa.http_port, pages)
    try:
        await ops_server.start()
    except OSError as error:
        raise CommandError(
            f"cannot listen on {qa.http_host}:{qa.http_port} (QA_HTTP_HOST, QA_HTTP_PORT): "
            f"{error.strerror}"
        ) from None
    try:
        # The model is loaded before the worker joins the group: a member can work at once.
        engine = await asyncio.to_thread(open_engine, settings)
        log.info(
            "started",
            version=__version__,
            model=engine.model.name,
            sha256=engine.model.sha256,
            precision=engine.model.precision,
            provider=engine.model.provider,
            threads=engine.options.threads,
            http_port=ops_server.port,
        )
        if qa.sample < 1:
            log.info("sample", share=qa.sample, group=settings.kafka.group_id)
        if console:
            console.set_worker(engine.model, engine.event_type, __version__)
            listeners = [*listeners, console.trace_collector]
        try:
            cache = AnswerCache(engine, max_bytes=qa.cache_bytes) if qa.cache_bytes else None
            supervisor = WorkerSupervisor(
                settings,
                engine,
                health,
                TraceDispatcher(*listeners),
                cache=cache,
                read_settings=load,
            )
            await _run_until_stopped(supervisor, stop, qa.shutdown_seconds)
        finally:
            engine.close()
    finally:
        await ops_server.stop()
    log.info("stopped")


def open_engine(settings: Settings) -> InferenceEngine:
    """Open the model and start the inference threads. Raises `BundleError`, `ProviderError`."""
    bundle = ModelStore(settings.qa.models).open(settings.qa.model)
    if settings.qa.no_answer is True and not bundle.manifest.knows_no_answer:
        log.warning(
            "model_lacks_no_answer_training",
            model=bundle.name,
            why="its manifest does not say that it was trained on unanswerable questions",
        )
    if bundle.manifest.calibration and settings.qa.score_normalization is not (
        ScoreNormalization.JOINT
    ):
        log.warning(
            "calibration_unused",
            model=bundle.name,
            why="QA_SCORE_NORMALIZATION is per_window; what was fitted is for joint scores",
        )
    engine = InferenceEngine(bundle, settings.qa.inference, weights=settings.qa.question_topics)
    engine.start()
    metrics.INFO.info(
        {
            "version": __version__,
            "model": engine.model.name,
            "sha256": engine.model.sha256,
            "precision": engine.model.precision,
            "provider": engine.model.provider,
        }
    )
    return engine


async def _run_until_stopped(
    supervisor: WorkerSupervisor, stop: asyncio.Event, shutdown_seconds: float
) -> None:
    """Run the supervisor. After `stop` is set it has `shutdown_seconds` to end; then the process
    exits with 1. Raises the errors of the supervisor.
    """
    work = asyncio.create_task(supervisor.run(stop))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await asyncio.wait([work], timeout=shutdown_seconds)
    if not work.done():
        # The next owners of the partitions process the uncommitted records again.
        records = supervisor.records_in_flight
        log.error("shutdown_budget_exceeded", seconds=shutdown_seconds, records=records)
        _exit_now()
    work.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        log.info("signal", name=number.name, again=stop.is_set())
        if stop.is_set():
            _exit_now()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def _exit_now() -> NoReturn:
    """Exit with 1 without any clean-up. No record is lost: the worker commits an offset only after
    the broker has acknowledged the outcome of every record before it.
    """
    os._exit(1)
