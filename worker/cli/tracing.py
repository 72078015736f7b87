"""Who follows the records' journeys, as the settings have it."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from worker import __version__
from worker.observability.record_trace import TraceListener
from worker.settings import Settings, SettingsError


def check_tracing(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raises `SettingsError` where traces are asked for and cannot be exported."""
    if not settings.qa.tracing:
        return
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        raise SettingsError('QA_TRACING needs the extra: pip install "qa-worker[tracing]"')
    # Only here, and below: who does not trace neither needs nor loads it.
    from worker.observability.tracing import TracingError, check

    try:
        check(environment)
    except TracingError as error:
        raise SettingsError(str(error)) from None


@contextmanager
def tracing(settings: Settings) -> Iterator[list[TraceListener]]:
    """The one that exports traces, or none. At the end, what it has is exported.

    Raises `SettingsError`.
    """
    check_tracing(settings, os.environ)
    if not settings.qa.tracing:
        yield []
        return
    from worker.observability.tracing import Tracing

    follower = Tracing(
        version=__version__,
        group=settings.kafka.group_id,
        answers_topic=settings.qa.answers_topic,
        dead_letters_topic=settings.qa.dead_letters_topic,
    )
    try:
        yield [follower]
    finally:
        follower.close()
