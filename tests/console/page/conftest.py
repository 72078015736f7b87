"""Fixtures: one worker with the default model and one browser for all tests of the page."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.brokers.protocol import Broker
from tests.console.browser import ConsolePage, chromium, console_environment, console_url
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def topics(broker: Broker) -> AsyncIterator[Topics]:
    async with Topics(broker.bootstrap_servers, console_environment()) as topics:
        await topics.create()
        yield topics


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def worker(topics: Topics, browser: Browser) -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess(topics.environment) as worker:
        yield worker


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def profile(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with await browser.new_context(viewport={"width": 1280, "height": 900}) as profile:
        yield profile


@pytest_asyncio.fixture(loop_scope="package")
async def console(worker: WorkerProcess, profile: BrowserContext) -> AsyncIterator[ConsolePage]:
    """An open console. After each test: no request to another server, and no problem that the test
    has not checked and cleared.
    """
    console = ConsolePage(await profile.new_page())
    await console.page.goto(console_url(worker.port))
    await expect(console.page.get_by_role("status")).to_have_text("Ready")
    yield console
    await console.page.close()
    assert console.problems == []
    prefix = f"http://127.0.0.1:{worker.port}/console/"
    assert [url for url in console.requested if not url.startswith((prefix, "data:"))] == []


@pytest.fixture
def page(console: ConsolePage) -> Page:
    return console.page
