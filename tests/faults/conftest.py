"""One cluster for the tests of this directory."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.faults.cluster import Cluster
from tests.faults.schedule import GUEST_SLOT


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def cluster() -> AsyncIterator[Cluster]:
    async with Cluster(GUEST_SLOT + 1) as cluster:
        yield cluster
