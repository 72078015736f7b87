"""Topics and a running pipeline for each test."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.brokers.protocol import Broker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, until
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher, TraceListener
from worker.settings import Settings
from worker.streaming.supervisor import WorkerSupervisor

Running = Callable[..., AbstractAsyncContextManager["RunningWorker"]]


class RunningWorker:
    """A pipeline at work in this event loop."""

    def __init__(self, settings: Settings, reader: StubEngine, *followers: TraceListener) -> None:
        self.health = Health(time.monotonic, stall_after=3600, contact_after=20)
        self.stop = asyncio.Event()
        pipeline = WorkerSupervisor(settings, reader, self.health, TraceDispatcher(*followers))
        self.task = asyncio.create_task(pipeline.run(self.stop))

    async def ready(self) -> None:
        await until(lambda: self.health.ready or self.task.done(), "the pipeline is ready")
        if self.task.done():
            self.task.result()


@pytest.fixture
def delivery() -> str:
    """`QA_DELIVERY`; a module whose claims hold for both says so by a fixture of its own."""
    return "exactly_once"


@pytest.fixture
async def topics(broker: Broker, delivery: str) -> AsyncIterator[Topics]:
    async with Topics(broker.bootstrap_servers, {"QA_DELIVERY": delivery}) as topics:
        await topics.create()
        yield topics


@pytest.fixture
def running() -> Running:
    """`async with running(settings, reader) as pipeline`: ready inside, stopped at the end."""

    @contextlib.asynccontextmanager
    async def run(
        settings: Settings, reader: StubEngine, *followers: TraceListener
    ) -> AsyncIterator[RunningWorker]:
        pipeline = RunningWorker(settings, reader, *followers)
        try:
            await pipeline.ready()
            yield pipeline
        finally:
            pipeline.stop.set()
            await pipeline.task

    return run
