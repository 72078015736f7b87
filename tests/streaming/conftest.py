"""Topics and a running worker for each test."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.brokers.protocol import Broker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, until
from worker.inference.cache.answer_cache import AnswerCache
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher, TraceListener
from worker.settings import Settings
from worker.streaming.supervisor import WorkerSupervisor

Running = Callable[..., AbstractAsyncContextManager["RunningWorker"]]


class RunningWorker:
    """A worker in this event loop, from its construction on."""

    def __init__(
        self,
        settings: Settings,
        engine: StubEngine,
        *listeners: TraceListener,
        cache: AnswerCache | None = None,
        read_settings: Callable[[], Settings] | None = None,
    ) -> None:
        self.health = Health(time.monotonic, stall_after=3600, contact_after=20)
        self.stop = asyncio.Event()
        supervisor = WorkerSupervisor(
            settings,
            engine,
            self.health,
            TraceDispatcher(*listeners),
            cache=cache,
            read_settings=read_settings,
        )
        self.task = asyncio.create_task(supervisor.run(self.stop))

    async def ready(self) -> None:
        await until(lambda: self.health.ready or self.task.done(), "the worker is ready")
        if self.task.done():
            self.task.result()


@pytest.fixture
def delivery() -> str:
    """`QA_DELIVERY`. A module whose tests run in both modes overrides this fixture."""
    return "exactly_once"


@pytest.fixture
async def topics(broker: Broker, delivery: str) -> AsyncIterator[Topics]:
    async with Topics(broker.bootstrap_servers, {"QA_DELIVERY": delivery}) as topics:
        await topics.create()
        yield topics


@pytest.fixture
def running() -> Running:
    """`async with running(settings, engine) as worker`: ready inside, stopped at the end."""

    @contextlib.asynccontextmanager
    async def run(
        settings: Settings,
        engine: StubEngine,
        *listeners: TraceListener,
        cache: AnswerCache | None = None,
    ) -> AsyncIterator[RunningWorker]:
        worker = RunningWorker(settings, engine, *listeners, cache=cache)
        try:
            await worker.ready()
            yield worker
        finally:
            worker.stop.set()
            await worker.task

    return run
