"""The page without its token, from a foreign origin, and without its worker."""

import signal

import pytest
from playwright.async_api import Browser, expect

from tests.brokers.protocol import Broker
from tests.console.browser import TOKEN, ConsolePage, console_environment, console_url, result
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess
from worker.kafka.kafka_node import free_ports

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
    pytest.mark.tools,
]


async def test_foreign_page_cannot_ask_read_or_frame(
    browser: Browser, worker: WorkerProcess, topics: Topics
) -> None:
    """A page of another origin with the token. `localhost` differs from 127.0.0.1 as an origin."""
    console = f"http://127.0.0.1:{worker.port}/console/"
    before = await topics.ends()
    page = await browser.new_page()
    await page.goto(f"http://localhost:{worker.port}/healthz")
    results = await page.evaluate(
        """async ([console, token]) => {
            const headers = {
                Authorization: `Bearer ${token}`,
                "Content-Type": "application/json",
            };
            const body = JSON.stringify({ question: "Who?", context: "Ada." });
            const outcome = (path, options) => fetch(`${console}${path}`, options)
                .then((response) => response.type, (error) => error.name);
            return [
                await outcome("questions", { method: "POST", mode: "no-cors", body }),
                await outcome("questions", { method: "POST", headers, body }),
                await outcome("samples", { headers }),
            ];
        }""",
        [console, TOKEN],
    )
    assert results == ["TypeError", "TypeError", "TypeError"]
    assert await topics.ends() == before
    async with page.expect_event("requestfailed") as refused:
        await page.evaluate(
            """url => {
                const frame = document.createElement("iframe");
                frame.src = url;
                document.body.append(frame);
            }""",
            console,
        )
    assert (await refused.value).url == console
    await page.close()


async def test_page_without_token_asks_only_for_the_token(
    browser: Browser, worker: WorkerProcess
) -> None:
    page = await browser.new_page()
    await page.goto(f"http://127.0.0.1:{worker.port}/console/")
    await expect(page.get_by_role("textbox", name="Token")).to_be_focused()
    await expect(page.locator("#open")).to_be_hidden()
    await page.get_by_role("textbox", name="Token").fill("not-the-token-of-it")
    await page.keyboard.press("Enter")
    await expect(page.locator("#locked")).to_contain_text("Wrong token")
    await page.get_by_role("textbox", name="Token").fill(console_environment()["QA_CONSOLE_TOKEN"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Ready")
    await expect(page.locator("#locked")).to_be_hidden()
    await page.reload()  # the tab keeps the token
    await expect(page.get_by_role("status")).to_have_text("Ready")
    await page.close()


async def test_page_reconnects_to_a_restarted_worker(browser: Browser, broker: Broker) -> None:
    (port,) = free_ports(1)
    topics = Topics(broker.bootstrap_servers, {**console_environment(), "QA_HTTP_PORT": str(port)})
    await topics.create()
    console = ConsolePage(page := await browser.new_page())
    async with WorkerProcess(topics.environment) as worker:
        await page.goto(console_url(port))
        await expect(page.get_by_role("status")).to_have_text("Ready")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
    await expect(page.get_by_role("status")).to_have_text("Connection lost, trying again")
    await console.ask("Who?", "Ada.")
    await expect(result(page)).to_contain_text("no connection to the worker")
    async with WorkerProcess(topics.environment):
        await expect(page.get_by_role("status")).to_have_text("Ready")
        await console.ask("Who wrote it?", "It was written by Ada Byron in 1843.")
        await expect(page.locator("mark")).to_have_text("Ada Byron")
    await page.close()
