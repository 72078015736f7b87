"""The worker that the example programs ask."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def worker(topics: Topics) -> AsyncIterator[WorkerProcess]:
    """One worker with the default model for all tests of this module."""
    async with WorkerProcess(topics.environment) as worker:
        yield worker
