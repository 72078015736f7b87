"""One connection to the cluster: wiring, start, drain and close.

A session outlives rebalances and brokers that come back. An error that it does not outlive ends
it; the supervisor then opens the next one, which resumes at the committed offsets.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor
from typing import Any

import structlog

from schemas.value_format import ValueFormat
from worker.inference.cache.answer_cache import AnswerCache
from worker.kafka.cluster_support import ClusterSupport
from worker.kafka.consumer import GroupConsumer
from worker.kafka.errors import format_error
from worker.kafka.start_offsets import GroupStart
from worker.kafka.topic_requirements import OutputTopics
from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.settings import Settings
from worker.streaming.assignment import Assignment
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.delivery.factory import create_delivery
from worker.streaming.observed_consumer import ObservedConsumer
from worker.streaming.output_limits import OutputLimits
from worker.streaming.partition_context import PartitionContext
from worker.streaming.poller import RecordPoller
from worker.streaming.processor import Engine, RecordProcessor
from worker.streaming.replies import ReplyRouter
from worker.streaming.sample import Sample
from worker.streaming.schema_waits import ValueReader
from worker.streaming.silence import SilenceGuard
from worker.streaming.throttle_reporter import ThrottleReporter
from worker.streaming.unsure import UnsureQuestions
from worker.streaming.watchdog import Watchdog

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0
"""For producer and consumer each: with the brokers away they could wait for ever."""


class KafkaSession:
    """`open`, then `run`, then `close`; once each, `close` also after an error."""

    def __init__(
        self,
        settings: Settings,
        topics: OutputTopics,
        start: GroupStart,
        support: ClusterSupport,
        engine: Engine,
        cache: AnswerCache | None,
        health: Health,
        dead_letter_limit: DeadLetterLimit,
        decoders: Executor,
        traces: TraceDispatcher,
        silence: SilenceGuard,
        values: ValueReader | None,
        answer_format: ValueFormat,
    ) -> None:
        """`decoders` runs JSON that is too large for the event loop."""
        qa = settings.qa
        self._health = health
        self._engine = engine
        traces.connected(start.topic_ids.cluster)
        throttling = ThrottleReporter(health)
        self._consumer = GroupConsumer(settings, start, throttling.report)
        self._delivery = create_delivery(
            settings, topics.limits, self._consumer, traces, throttling.report, support
        )
        self._limiter = InFlightLimiter(
            engine,
            max_bytes=qa.max_in_flight_bytes,
            max_tokens=qa.max_in_flight_tokens,
            max_seconds=qa.max_in_flight_seconds,
            weights=qa.question_topics,
        )
        processor = RecordProcessor(
            engine=engine,
            cache=cache,
            decoders=decoders,
            answers_topic=qa.answers_topic,
            dead_letters_topic=qa.dead_letters_topic,
            max_record_bytes=qa.max_record_bytes,
            deadlines=DeadlinePolicy(qa.expired, qa.max_age_seconds),
            replies=ReplyRouter(qa, self._delivery.foreign_topics),
            limits=OutputLimits(topics.limits),
            compacted=topics.compacted,
            unsure=UnsureQuestions(qa.min_score, qa.unsure_topic),
            sample=Sample(qa.sample),
            values=values,
            answer_format=answer_format,
        )
        context = PartitionContext(
            processor=processor,
            delivery=self._delivery,
            limiter=self._limiter,
            dead_letter_limit=dead_letter_limit,
            health=health,
            traces=traces,
            batch_records=qa.commit_records,
        )
        self._assignment = Assignment(settings, context)
        self._poller = RecordPoller(
            ObservedConsumer(self._consumer, traces),
            self._limiter,
            self._assignment,
            max_records=settings.kafka.max_poll_records,
        )
        self._watchdog = Watchdog(
            qa, self._consumer, self._assignment, self._limiter, health, silence, values
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None

    @property
    def records_in_flight(self) -> int:
        return self._limiter.records

    async def open(self) -> None:
        """Connect and join the group. Raises `KafkaError`."""
        await self._delivery.start()
        await self._consumer.start(self._assignment)
        self._health.broker_contact()
        metrics.SESSIONS_OPENED.inc()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is in flight and commit it.

        Raises the error that ended the session.
        """
        self._engine.on_progress = self._limiter.engine_progressed
        stopped = asyncio.create_task(_wait_for(stop))
        self._watching = asyncio.create_task(self._watchdog.run())
        parts = [
            self._watching,
            asyncio.create_task(self._poller.run()),
            asyncio.create_task(self._delivery.run()),
            asyncio.create_task(self._assignment.run()),
        ]
        self._tasks = [stopped, *parts]
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()
        self._stop_polling()
        log.info("draining", records=self._limiter.records)
        await self._assignment.drain()

    async def close(self) -> None:
        """Commit what is delivered, leave the group, close the connections. Raises nothing.

        A session that failed commits too: what was published need not be published again.
        """
        self._stop_polling()
        self._engine.on_progress = None
        await _attempt("delivery", self._delivery.close(self._assignment, seconds=CLOSE_SECONDS))
        if self._watching is not None:
            # A request of it while the consumer's connections are closed would open new ones.
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await _attempt("consumer", self._consumer.stop(seconds=CLOSE_SECONDS))
        # Only now that the consumer is closed may its poll be cancelled.
        for task in self._tasks:
            task.cancel()
        # Retrieve every task's exception, so that asyncio does not log "never retrieved" for
        # errors that followed the first.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _stop_polling(self) -> None:
        self._poller.stop()
        self._assignment.end()


async def _attempt(part: str, closing: Coroutine[Any, Any, None]) -> None:
    """Log an error of one part: closing continues with the next."""
    try:
        await closing
    except Exception as error:
        log.warning("close_failed", part=part, error=format_error(error))


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
