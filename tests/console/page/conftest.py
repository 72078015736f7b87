"""One worker with the default model, on the broker, and one browser for all of the page's tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.brokers.protocol import Broker
from tests.console.browser import Looked, chromium, console_environment, console_url
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def topics(broker: Broker) -> Topics:
    own = Topics(broker.bootstrap_servers, console_environment())
    await own.create()
    return own


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def worker(topics: Topics, browser: Browser) -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess(topics.environment) as worker:
        yield worker


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def profile(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with await browser.new_context(viewport={"width": 1280, "height": 900}) as profile:
        yield profile


@pytest_asyncio.fixture(loop_scope="package")
async def looked(worker: WorkerProcess, profile: BrowserContext) -> AsyncIterator[Looked]:
    """The console, open. Whatever a test does: nothing is fetched from elsewhere, and nobody
    complains, unless the test has looked at the complaints and cleared them.
    """
    looked = Looked(await profile.new_page())
    await looked.page.goto(console_url(worker.port))
    await expect(looked.page.get_by_role("status")).to_have_text("Ready")
    yield looked
    await looked.page.close()
    assert looked.complaints == []
    here = f"http://127.0.0.1:{worker.port}/console/"
    assert [url for url in looked.requested if not url.startswith((here, "data:"))] == []


@pytest.fixture
def page(looked: Looked) -> Page:
    return looked.page
