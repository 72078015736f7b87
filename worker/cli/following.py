"""Who follows the records' journeys, as the settings have it."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from worker import __version__
from worker.observing.journeys import Follower
from worker.settings import Settings, SettingsError


@contextmanager
def tracing(settings: Settings) -> Iterator[list[Follower]]:
    """The one that exports traces, or none. At the end, what it has is exported.

    Raises `SettingsError`.
    """
    if not settings.qa.tracing:
        yield []
        return
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        raise SettingsError('QA_TRACING needs the extra: pip install "qa-worker[tracing]"')
    # Only here: who does not trace neither needs nor loads it.
    from worker.observing.tracing import Tracing, TracingError

    try:
        follower = Tracing(
            version=__version__,
            group=settings.kafka.group_id,
            answers_topic=settings.qa.answers_topic,
            dead_letters_topic=settings.qa.dead_letters_topic,
        )
    except TracingError as error:
        raise SettingsError(str(error)) from None
    try:
        yield [follower]
    finally:
        follower.close()
