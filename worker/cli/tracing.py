"""Sets up the export of traces (OpenTelemetry) for `run`, and checks its settings."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from worker import __version__
from worker.observability.record_trace import TraceListener
from worker.settings import Settings, SettingsError


def check_tracing(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raises `SettingsError` if `QA_TRACING` is on and traces cannot be exported."""
    if not settings.qa.tracing:
        return
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        raise SettingsError('QA_TRACING needs the extra: pip install "qa-worker[tracing]"')
    # Imported only here and in `tracing`: a worker without traces does not need the extra.
    from worker.observability.tracing import TracingError, check

    try:
        check(environment)
    except TracingError as error:
        raise SettingsError(str(error)) from None


@contextmanager
def tracing(settings: Settings) -> Iterator[list[TraceListener]]:
    """Yields the listener that exports traces, or an empty list if `QA_TRACING` is off. On exit the
    traces that are left are exported.

    Raises `SettingsError`.
    """
    check_tracing(settings, os.environ)
    if not settings.qa.tracing:
        yield []
        return
    from worker.observability.tracing import Tracing

    exporter = Tracing(
        version=__version__,
        group=settings.kafka.group_id,
        answers_topic=settings.qa.answers_topic,
        dead_letters_topic=settings.qa.dead_letters_topic,
        unsure_topic=settings.qa.unsure_topic,
    )
    try:
        yield [exporter]
    finally:
        exporter.close()
