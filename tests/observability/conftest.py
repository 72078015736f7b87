"""Logs set up for a test, and put back."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from worker.observability import logging_setup

Configure = Callable[..., Callable[[], list[dict[str, Any]]]]


@pytest.fixture
def untouched_logs() -> Iterator[None]:
    """What a test changes in the process's logging does not outlive it."""
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    before = structlog.get_config(), root.handlers, root.level, access.level
    yield
    structlog.configure(**before[0])
    root.handlers, level, access_level = before[1:]
    root.setLevel(level)
    access.setLevel(access_level)


@pytest.fixture
def configured(untouched_logs: None, capsys: pytest.CaptureFixture[str]) -> Configure:
    """Set logs up; what comes back gives the JSON lines so far."""

    def configure(level: str = "info", style: str = "json") -> Callable[[], list[dict[str, Any]]]:
        logging_setup.configure(level, style)
        return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return configure
