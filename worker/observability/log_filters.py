"""Filters for the log lines of client libraries: no credentials, no floods.

The filters are added to the handler, so they see the lines of all loggers. Lines of the worker's
own loggers pass unchanged.
"""

import logging
import time
from collections.abc import Callable, Iterable

_SASL_AUTHENTICATE = 36
"""API key of SaslAuthenticate (KIP-152); aiokafka's responses have their request's key."""

RATE_LIMITED = {"aiokafka", "opentelemetry"}
"""Libraries that log one line for each attempt to reach a broker, or a collector, that is down."""

PERIOD_SECONDS = 10.0
"""An outage of ten minutes then logs some hundred lines instead of forty thousand."""


class RedactSasl(logging.Filter):
    """Drops lines with SASL requests and responses.

    At level debug, aiokafka logs every request as it is sent, passwords and tokens included.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != "aiokafka.conn" or not isinstance(record.args, Iterable):
            return True
        keys = (getattr(argument, "API_KEY", None) for argument in record.args)
        return _SASL_AUTHENTICATE not in keys


class RateLimitRepeats(logging.Filter):
    """Passes one line per logger and message template every `PERIOD_SECONDS`.

    The next line that passes has the number of suppressed lines in its field `suppressed`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns monotonic seconds."""
        super().__init__()
        self._clock = clock
        # (logger, template) -> (time of the last line that passed, lines suppressed since then)
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in RATE_LIMITED:
            return True
        template = record.name, str(record.msg)
        now = self._clock()
        passed, suppressed = self._seen.get(template, (float("-inf"), 0))
        if now - passed < PERIOD_SECONDS:
            self._seen[template] = passed, suppressed + 1
            return False
        self._seen[template] = now, 0
        if suppressed:
            record.suppressed = suppressed
        return True
