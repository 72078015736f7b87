"""Filters for log lines of client libraries: no credentials, a limited rate of repeats."""

import logging

from aiokafka.protocol.admin import SaslAuthenticateRequest_v0
from aiokafka.protocol.metadata import MetadataRequest_v0

from tests.observability.conftest import Configure
from worker.observability.log_filters import PERIOD_SECONDS, RateLimitRepeats, RedactSasl


def line(message: str, *args: object, logger: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "", 0, message, args, None)


def test_sasl_requests_are_dropped_and_others_pass() -> None:
    redact = RedactSasl()
    login = SaslAuthenticateRequest_v0(b"\0user\0password")
    assert not redact.filter(line("%s Request %d: %s", "connection", 1, login))
    assert redact.filter(line("%s Request %d: %s", "connection", 1, MetadataRequest_v0([])))
    assert redact.filter(line("no arguments"))


def test_a_repeated_line_passes_once_per_period_with_the_number_suppressed() -> None:
    now = 0.0
    repeats = RateLimitRepeats(lambda: now)
    assert repeats.filter(line("Unable connect to %s", 1))
    assert [repeats.filter(line("Unable connect to %s", 2)) for _ in range(5)] == [False] * 5
    now = PERIOD_SECONDS
    again = line("Unable connect to %s", 3)
    assert repeats.filter(again)
    assert vars(again)["suppressed"] == 5
    now = 2 * PERIOD_SECONDS
    single = line("Unable connect to %s", 4)
    assert repeats.filter(single)
    assert "suppressed" not in vars(single)


def test_other_messages_and_the_workers_own_lines_are_not_limited() -> None:
    repeats = RateLimitRepeats(lambda: 0.0)
    assert repeats.filter(line("one"))
    assert repeats.filter(line("another"))
    assert repeats.filter(line("one", logger="aiokafka.consumer"))
    assert all(repeats.filter(line("own", logger="worker.streaming")) for _ in range(3))


def test_configured_logging_limits_repeats(configured: Configure) -> None:
    lines = configured()
    for number in range(3):
        logging.getLogger("aiokafka").error("broker %s is down", number)
    assert [logged["event"] for logged in lines()] == ["broker 0 is down"]
