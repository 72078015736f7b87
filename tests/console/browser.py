"""A worker with its console on, and the browser that looks at it: Debian's Chromium, headless."""

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

PATIENCE_MS = 20_000
"""Until what is expected of the page counts as missing; on two busy cores."""

expect.set_options(timeout=PATIENCE_MS)


def console_environment() -> dict[str, str]:
    return {"QA_CONSOLE": "true", "QA_CONSOLE_TOKEN": TOKEN}


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
class Looked:
    """A page, and what it did that nobody sees."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors, and warnings, of the page and of the browser about it."""
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requested.append(request.url)

    async def ask(self, question: str, context: str) -> None:
        await self.page.get_by_label("Question").fill(question)
        await self.page.get_by_label("Context that holds the answer").fill(context)
        await self.page.get_by_role("button", name="Send", exact=True).click()


def result(page: Page) -> Locator:
    return page.locator("#result")
