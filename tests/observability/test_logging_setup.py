"""A log line is an event with fields, one JSON object a line, for all loggers."""

import datetime
import logging
import sys

import pytest
import structlog

from tests.observability.conftest import Configure
from worker.observability import logging_setup


def fail(password: str) -> None:
    raise ValueError("boom\nand more")


def test_an_event_is_one_json_line_with_its_fields(configured: Configure) -> None:
    lines = configured()
    structlog.get_logger("worker.test").bind(partition=3).info("rejected", offset=17, text="é\n")
    (line,) = lines()
    time = datetime.datetime.fromisoformat(line.pop("timestamp"))
    assert time.utcoffset() == datetime.timedelta(0)
    assert line == {
        "event": "rejected",
        "level": "info",
        "logger": "worker.test",
        "partition": 3,
        "offset": 17,
        "text": "é\n",
    }


def test_standard_library_lines_have_the_same_format(configured: Configure) -> None:
    lines = configured()
    logging.getLogger("aiokafka.test").warning("%s is down", "broker", extra={"node": 1})
    (line,) = lines()
    line.pop("timestamp")
    assert line == {
        "event": "broker is down",
        "level": "warning",
        "logger": "aiokafka.test",
        "node": 1,
    }


def test_events_below_the_level_are_not_logged(configured: Configure) -> None:
    lines = configured(level="warning")
    structlog.get_logger("worker.test").info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger("worker.test").error("loud")
    assert [line["event"] for line in lines()] == ["loud"]


@pytest.mark.parametrize("foreign", [False, True])
def test_a_traceback_is_a_field_of_the_line(configured: Configure, foreign: bool) -> None:
    lines = configured()
    log = logging.getLogger("other") if foreign else structlog.get_logger("worker.test")
    try:
        fail("hunter2")
    except ValueError as error:
        log.warning("failed", exc_info=error)
    (line,) = lines()
    (trace,) = line["exception"]
    assert (trace["exc_type"], trace["exc_value"]) == ("ValueError", "boom\nand more")
    assert trace["frames"][-1]["name"] == "fail"


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("foreign", [False, True])
def test_a_traceback_has_no_local_variables(
    configured: Configure, capsys: pytest.CaptureFixture[str], style: str, foreign: bool
) -> None:
    configured(style=style)
    log = logging.getLogger("other") if foreign else structlog.get_logger("worker.test")
    try:
        fail("hun" + "ter2")  # concatenated, so that the source line does not contain it
    except ValueError:
        log.exception("failed")
    logged = capsys.readouterr().err
    assert "boom" in logged
    assert "hunter2" not in logged


def test_without_an_error_there_is_no_traceback(configured: Configure) -> None:
    lines = configured()
    structlog.get_logger("worker.test").warning("rejected", exc_info=None)
    assert "exception" not in lines()[0]


@pytest.mark.parametrize("value", [b"\xff", object(), {1, 2}, "\ud800", float("nan")])
def test_any_value_can_be_logged(configured: Configure, value: object) -> None:
    lines = configured()
    structlog.get_logger("worker.test").info("odd", value=value)
    assert lines()[0]["event"] == "odd"


@pytest.mark.parametrize("terminal", [True, False])
def test_auto_is_json_unless_stderr_is_a_terminal(
    restored_logging: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    logging_setup.configure("info", "auto")
    structlog.get_logger("worker.test").info("here", offset=1)
    logged = capsys.readouterr().err
    assert logged.startswith("{") is not terminal
    assert "here" in logged


def test_configuring_twice_logs_each_event_once(configured: Configure) -> None:
    configured()
    lines = configured()
    structlog.get_logger("worker.test").info("once")
    assert len(lines()) == 1


def test_http_requests_are_not_logged(configured: Configure) -> None:
    lines = configured()
    logging.getLogger("aiohttp.access").info("GET /healthz")
    assert lines() == []


def test_console_lines_escape_control_characters(
    configured: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(style="console")
    evil = "\x1b]0;owned\x07\r\u202e"
    # structlog quotes a value with spaces, and so escapes it; this one has none.
    structlog.get_logger("worker.test").info("odd", header=evil)
    try:
        raise ValueError(evil)
    except ValueError:
        logging.getLogger("other").exception(evil)
    logged = capsys.readouterr().err
    assert not set(logged) & {"\x07", "\r", "\u202e"}
    assert "\x1b]" not in logged
    assert logged.count(r"\x1b]0;owned\x07\r\u202e") == 3
