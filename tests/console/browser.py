"""Settings of a worker with the console, and a headless Chromium that opens its page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

from tests.tools import tool

TOKEN = "a-token-of-the-tests"

QUESTION = "Who built version 7?"
EMOJI = (
    "Release notes 🚀: the family 👨‍👩‍👧‍👦 marks changes by the community. "
    "Version 7 was built by Mireille 👩🏽‍🚀 in Toulouse 🇫🇷."
)

TIMEOUT_MS = 20_000
"""Timeout of every expectation; long enough for two busy cores."""

expect.set_options(timeout=TIMEOUT_MS)


def console_environment() -> dict[str, str]:
    # The tests look at how the page shows answers, also to questions that the model doubts.
    return {"QA_CONSOLE": "true", "QA_CONSOLE_TOKEN": TOKEN, "QA_NO_ANSWER": "false"}


def console_url(port: int, token: str = TOKEN) -> str:
    return f"http://127.0.0.1:{port}/console/#token={token}"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=tool("chromium"), args=["--no-sandbox"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class ConsolePage:
    """An open page, with the browser's errors, warnings and requests."""

    page: Page
    problems: list[str] = field(default_factory=list)
    """Errors and warnings of the page, and of the browser about the page."""
    requested: list[str] = field(default_factory=list)
    """URLs of all requests."""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("console", self._on_message)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._on_request)

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _on_request(self, request: Request) -> None:
        self.requested.append(request.url)

    async def ask(self, question: str, context: str) -> None:
        """Fills in the form and sends the question. Does not wait for the answer."""
        await self.page.get_by_label("Question").fill(question)
        await self.page.get_by_label("Context that contains the answer").fill(context)
        await self.page.get_by_role("button", name="Send", exact=True).click()


def result(page: Page) -> Locator:
    return page.locator("#result")
