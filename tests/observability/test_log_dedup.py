"""What the client library repeats is let through now and then, and counted."""

import logging

from tests.observability.conftest import Configure
from worker.observability.log_dedup import PERIOD, RateLimitRepeats


def line(message: str, *args: object, logger: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "", 0, message, args, None)


def test_the_same_line_is_let_through_once_in_a_while_with_the_number_of_the_others() -> None:
    now = 0.0
    repeats = RateLimitRepeats(lambda: now)
    assert repeats.filter(line("Unable connect to %s", 1))
    assert [repeats.filter(line("Unable connect to %s", 2)) for _ in range(5)] == [False] * 5
    now = PERIOD
    again = line("Unable connect to %s", 3)
    assert repeats.filter(again)
    assert vars(again)["held_back"] == 5
    now = 2 * PERIOD
    alone = line("Unable connect to %s", 4)
    assert repeats.filter(alone)
    assert "held_back" not in vars(alone)


def test_other_lines_and_other_loggers_are_not_held_back() -> None:
    repeats = RateLimitRepeats(lambda: 0.0)
    assert repeats.filter(line("one"))
    assert repeats.filter(line("another"))
    assert repeats.filter(line("one", logger="aiokafka.consumer"))
    assert all(repeats.filter(line("ours", logger="worker.streaming")) for _ in range(3))


def test_the_workers_logs_hold_back(configured: Configure) -> None:
    lines = configured()
    for number in range(3):
        logging.getLogger("aiokafka").error("broker %s is away", number)
    assert [said["event"] for said in lines()] == ["broker 0 is away"]
