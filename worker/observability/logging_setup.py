"""Sets up logging: JSON lines, or coloured lines on a terminal. A log line is an event with fields.

Libraries log through the standard library; their lines get the same format. README.md beside this
file lists the events that the worker logs.
"""

import logging
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from worker.observability.log_filters import RateLimitRepeats, RedactSasl


def configure(level: str, style: str) -> None:
    """Configures structlog and the standard library's root logger to log to stderr.

    `level` is a value of QA_LOG_LEVEL, `style` one of QA_LOG_FORMAT: `json`, `console`, or `auto`
    (`console` if stderr is a terminal, else `json`).
    """
    if style == "auto":
        style = "console" if sys.stderr.isatty() else "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Local variables are omitted from tracebacks: they contain users' texts and passwords.
    renderers: list[Processor]
    if style == "json":
        renderers = [
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    else:
        renderers = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    handler.addFilter(RedactSasl())
    handler.addFilter(RateLimitRepeats())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Drops the line that aiohttp logs at level info for each request to the HTTP port.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
