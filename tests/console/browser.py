"""A worker with its console on, and the browser that looks at it."""

from typing import Any

from tests.tools import tool

TOKEN = "a-token-of-the-tests"

LAUNCH: dict[str, Any] = {"args": ["--no-sandbox"], "executable_path": tool("chromium")}


def console_environment() -> dict[str, str]:
    return {"QA_CONSOLE": "true", "QA_CONSOLE_TOKEN": TOKEN}


def console_url(port: int, token: str = TOKEN) -> str:
    return f"http://127.0.0.1:{port}/console/#token={token}"
