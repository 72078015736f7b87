"""Fixtures that configure logging for a test and restore it afterwards."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from worker.observability import logging_setup

Configure = Callable[..., Callable[[], list[dict[str, Any]]]]


@pytest.fixture
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restores the process's logging after the test.

    No logger is cached: a module's logger that kept this configuration would log past the
    `capture_logs` of a later test.
    """
    configure = structlog.configure

    def configure_uncached(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", configure_uncached)
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    before = structlog.get_config(), root.handlers, root.level, access.level
    yield
    configure(**before[0])
    root.handlers, level, access_level = before[1:]
    root.setLevel(level)
    access.setLevel(access_level)


@pytest.fixture
def configured(restored_logging: None, capsys: pytest.CaptureFixture[str]) -> Configure:
    """A function that configures logging and returns a reader of the JSON lines so far."""

    def configure(level: str = "info", style: str = "json") -> Callable[[], list[dict[str, Any]]]:
        logging_setup.configure(level, style)
        return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return configure
