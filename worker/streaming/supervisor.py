"""The worker's life on Kafka: check the topics, open a session, work, and open the next one when
a session breaks, until told to stop or until going on has no use.
"""

import asyncio
import contextlib
import time
from concurrent.futures import Executor, ThreadPoolExecutor

import structlog
from aiokafka.errors import KafkaConnectionError

from worker.kafka.acl import explain_authorization_error, find_authorization_error
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.kafka.topic_requirements import check_topics
from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.settings import Settings
from worker.streaming.assignment import SESSION_ERRORS
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.processor import Engine
from worker.streaming.session import KafkaSession

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Before the first, second, ... session in a row that replaces a broken one; then the last. Short:
work is to go on within 10 s of the brokers' return."""

LASTING_SECONDS = 60.0
"""A session that worked for so long did not break for what broke the one before it."""


class WorkerSupervisor:
    """Questions to answers, until told to stop."""

    def __init__(
        self,
        settings: Settings,
        reader: Engine,
        health: Health,
        journeys: TraceDispatcher = TraceDispatcher(),  # noqa: B008 - nobody follows, and it has no state
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._health = health
        self._journeys = journeys
        qa = settings.qa
        self._breaker = DeadLetterLimit(
            records=qa.dead_letter_limit_records, ratio=qa.dead_letter_limit_ratio
        )
        self._opened = False

    async def run(self, stop: asyncio.Event) -> None:
        """Returns once `stop` was set and what was in flight is published and committed.

        Raises `StreamingError` where it cannot start, or where going on has no use.
        """
        failures = 0
        # One thread: what is too large for the event loop is rare.
        with ThreadPoolExecutor(1, "qa-decode") as decoders:
            while not stop.is_set():
                try:
                    session = await self._open(decoders, stop)
                    if session is None:
                        return
                    self._opened, opened = True, time.monotonic()
                    try:
                        await session.run(stop)
                    finally:
                        await session.close()
                        if time.monotonic() - opened > LASTING_SECONDS:
                            failures = 0
                except SESSION_ERRORS as error:
                    await self._give_up_on(error)
                    pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
                    failures += 1
                    metrics.SESSION_FAILURES.inc()
                    log.warning("session_failed", error=format_error(error), again_in=pause)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), pause)

    async def _open(self, decoders: Executor, stop: asyncio.Event) -> KafkaSession | None:
        """A session that has joined the group, or `None` if told to stop meanwhile.

        Topics are checked each time, since they may change. Joining can take as long as the
        slowest member's drain, so it must not hold up a stop.
        """
        limits = await check_topics(self._settings)
        session = KafkaSession(
            self._settings,
            limits,
            self._reader,
            self._health,
            self._breaker,
            decoders,
            self._journeys,
        )
        opening = asyncio.create_task(session.open())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
                return session
        except BaseException:
            await session.close()
            raise
        finally:
            stopped.cancel()
        # Closing the consumer ends its opening, too; only then may that be cancelled.
        await session.close()
        opening.cancel()
        await asyncio.wait([opening])
        return None

    async def _give_up_on(self, error: Exception) -> None:
        """Raise `StreamingError` unless another session may do better."""
        if (refused := find_authorization_error(error)) is not None:
            # It names the right that is missing, unless the brokers do not tell.
            with contextlib.suppress(*SESSION_ERRORS):
                await check_topics(self._settings)
            raise StreamingError(explain_authorization_error(refused, self._settings)) from error
        if not self._opened and not _some_broker_is_away(error):
            # At the start somebody is looking: say at once what is wrong.
            servers = self._settings.kafka.bootstrap_servers
            raise StreamingError(f"cannot start with {servers}: {format_error(error)}") from error
        if recovery_for(error) is Recovery.FATAL:
            raise StreamingError(format_error(error)) from error
        silence, limit = self._health.seconds_since_contact, self._settings.qa.outage_seconds
        if silence > limit:
            raise StreamingError(
                f"no session with the brokers for {silence:.0f} s (QA_OUTAGE_SECONDS is "
                f"{limit:g}); giving up: {format_error(error)}"
            ) from error


def _some_broker_is_away(error: Exception) -> bool:
    """Some, but not all: another was asked which, and answered."""
    return recovery_for(error) is Recovery.RETRY and not isinstance(error, KafkaConnectionError)
