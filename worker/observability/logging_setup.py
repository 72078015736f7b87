"""Sets up logging: JSON lines, or coloured lines on a terminal. A log line is an event with fields.

Libraries log through the standard library; their lines get the same format. README.md beside this
file lists the events that the worker logs.
"""

import io
import logging
import sys
from typing import TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from worker.observability.log_filters import RateLimitRepeats, RedactSasl
from worker.observability.printable import printable


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
            _escape_controls,
            structlog.dev.ConsoleRenderer(exception_formatter=_printable_traceback),
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


def _escape_controls(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Escapes control characters, which a terminal would execute, in all fields.

    A field may quote a record or a broker. JSON lines need no escaping here.
    """
    return {
        name: printable(value, lines=name == "stack") if isinstance(value, str) else value
        for name, value in fields.items()
    }


def _printable_traceback(output: TextIO, error: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    output.write(printable(text.getvalue(), lines=True))
