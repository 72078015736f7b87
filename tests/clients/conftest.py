"""The worker that the example programs ask, and those of them that Maven builds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.brokers.shared import directory_of_run
from tests.clients.maven import build_once
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def worker(topics: Topics) -> AsyncIterator[WorkerProcess]:
    """One worker with the default model for all tests of this module."""
    async with WorkerProcess(topics.environment) as worker:
        yield worker


@pytest.fixture(scope="session")
def java_projects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the built projects, one for all processes of the run."""
    directory = directory_of_run(request.config, tmp_path_factory) / "java"
    directory.mkdir(exist_ok=True)
    build_once(directory)
    return directory
