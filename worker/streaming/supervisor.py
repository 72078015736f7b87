"""The worker's life on Kafka: check the topics, open a session, work, and open the next session
after one fails, until it is told to stop or continuing is useless.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager

import structlog
from aiokafka.errors import KafkaConnectionError

from schemas.value_format import JSON, ValueFormat
from worker.inference.cache.answer_cache import AnswerCache
from worker.kafka.acl import explain_authorization_error, find_authorization_error
from worker.kafka.cluster_support import ClusterSupport, require_delivery
from worker.kafka.diagnostics import find_connection_error
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.kafka.group_start import find_group_start
from worker.kafka.start_offsets import GroupStart
from worker.kafka.topic_requirements import check_topics
from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.settings import Settings, SettingsError
from worker.settings.value_formats import AnswerFormat
from worker.streaming.assignment import SESSION_ERRORS
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.processor import Engine
from worker.streaming.schema_waits import ValueReader
from worker.streaming.session import KafkaSession
from worker.streaming.silence import SilenceGuard

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pause before the first, second, ... consecutive session that replaces a failed one; then the last
value. Short: work resumes within 10 s of the brokers' return."""

STABLE_SECONDS = 60.0
"""A session that worked for this long did not fail for the reason of the one before it."""


class WorkerSupervisor:
    """Opens sessions, and restarts them with backoff."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        health: Health,
        traces: TraceDispatcher = TraceDispatcher(),  # noqa: B008 - stateless without listeners
        *,
        cache: AnswerCache | None = None,
        read_settings: Callable[[], Settings] | None = None,
    ) -> None:
        """`cache`: of this engine; None reads every question.

        `read_settings` reads `settings` again, for secrets that are in files and may have
        changed: called for each session and each probe; may raise `SettingsError`.
        """
        self._settings = settings
        self._read_settings = read_settings or (lambda: settings)
        self._engine = engine
        self._cache = cache
        self._health = health
        self._traces = traces
        qa = settings.qa
        self._dead_letter_limit = DeadLetterLimit(
            records=qa.dead_letter_limit_records, ratio=qa.dead_letter_limit_ratio
        )
        self._silence = SilenceGuard(self._probe)
        self._opened = False
        self._start: GroupStart | None = None
        self._support = ClusterSupport()
        self._session: KafkaSession | None = None
        self._values: ValueReader | None = None
        self._answer_format = JSON

    @property
    def records_in_flight(self) -> int:
        """Records whose outcomes are not acknowledged."""
        return self._session.records_in_flight if self._session else 0

    async def run(self, stop: asyncio.Event) -> None:
        """Returns once `stop` was set and what was in flight is published and committed.

        Raises `StreamingError` if the worker cannot start, or cannot continue.
        """
        # One thread: records too large for the event loop are rare.
        with ThreadPoolExecutor(1, "qa-decode") as decoders:
            async with self._open_values(decoders) as self._values:
                answer_format = await self._find_answer_format(stop)
                if answer_format is not None:
                    self._answer_format = answer_format
                    await self._run_sessions(stop, decoders)

    async def _run_sessions(self, stop: asyncio.Event, decoders: Executor) -> None:
        failures = 0
        while not stop.is_set():
            try:
                self._session = session = await self._open(decoders, stop)
                if session is None:
                    return
                self._opened, opened = True, time.monotonic()
                try:
                    await session.run(stop)
                finally:
                    await session.close()
                    if time.monotonic() - opened > STABLE_SECONDS:
                        failures = 0
            except (*SESSION_ERRORS, SettingsError) as error:
                await self._raise_if_fatal(error)
                pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
                failures += 1
                metrics.SESSION_FAILURES.inc()
                log.warning("session_failed", error=format_error(error), retry_in=pause)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    def _open_values(self, decoders: Executor) -> AbstractAsyncContextManager[ValueReader | None]:
        if not self._settings.schema_registry.url:
            return contextlib.nullcontext()
        # The extra `registry` is needed only here.
        from worker.schema_registry.opening import open_reader

        return open_reader(self._settings, decoders, self._read_settings)

    async def _find_answer_format(self, stop: asyncio.Event) -> ValueFormat | None:
        """None if `stop` was set while the registry was away.

        Raises `StreamingError` if the registry does not have the answers' schema.
        """
        if self._settings.qa.answer_format is AnswerFormat.JSON:
            return JSON
        # The extra `registry` is needed only here.
        from worker.schema_registry.answer_format import find_answer_format

        outcome_type = self._engine.event_type.OUTCOME
        finding = asyncio.create_task(
            find_answer_format(self._settings, outcome_type, self._health, self._read_settings)
        )
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([finding, stopped], return_when=asyncio.FIRST_COMPLETED)
            return finding.result() if finding.done() else None
        finally:
            finding.cancel()
            stopped.cancel()
            await asyncio.wait([finding, stopped])

    async def _open(self, decoders: Executor, stop: asyncio.Event) -> KafkaSession | None:
        """A session that has joined the group, or None if `stop` was set meanwhile.

        For each session certificates and secrets are read from their files, and topics are checked:
        they may change. Joining can take as long as the slowest member's drain, so it must not
        delay a stop.
        """
        settings = self._read_settings()
        topics = await check_topics(settings)
        if self._start is None:
            self._support = await require_delivery(settings)
            self._start = await find_group_start(settings)
        session = KafkaSession(
            settings,
            topics,
            self._start,
            self._support,
            self._engine,
            self._cache,
            self._health,
            self._dead_letter_limit,
            decoders,
            self._traces,
            self._silence,
            self._values,
            self._answer_format,
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
        # Closing the consumer ends its opening as well; only then may the task be cancelled.
        await session.close()
        opening.cancel()
        await asyncio.wait([opening])
        return None

    async def _probe(self) -> Exception | None:
        """See `silence.Probe`."""
        try:
            error = await find_connection_error(self._read_settings().kafka)
        except SettingsError as unreadable:
            return unreadable
        if isinstance(error, StreamingError):
            raise error
        return error

    async def _raise_if_fatal(self, error: Exception) -> None:
        """Raises `StreamingError` unless another session may succeed."""
        if (refused := find_authorization_error(error)) is not None:
            # The check names the missing ACL, unless the brokers do not tell.
            with contextlib.suppress(*SESSION_ERRORS):
                await check_topics(self._settings)
            raise StreamingError(explain_authorization_error(refused, self._settings)) from error
        if not self._opened and isinstance(error, SettingsError):
            raise error
        if not self._opened and not _one_broker_answered(error):
            # At the start an operator is watching: report the error at once.
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


def _one_broker_answered(error: Exception) -> bool:
    """Another broker is away: the one that answered named it."""
    return recovery_for(error) is Recovery.RETRY and not isinstance(error, KafkaConnectionError)
