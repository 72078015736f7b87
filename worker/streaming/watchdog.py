"""Lag, contact with the brokers, and the decision to give up.

Asks the brokers where the partitions end and tells Health what it learns. It ends the session when
a new one can do better (`silence.py`), and the worker when waiting cannot help: a topic that was
deleted, brokers away for too long, or work that is pending and never completes.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from worker.kafka.consumer import PartitionEnd
from worker.kafka.deadline import deadline
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.observability import metrics
from worker.observability.health import Health
from worker.settings import WorkerSettings
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.delivery.base import Tracker
from worker.streaming.past_deadline_reporter import PastDeadlineReporter
from worker.streaming.silence import SilenceGuard

log = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0
"""Time between two checks; a broker's response may take twice that."""


class Topics(Protocol):
    async def check_topics(self) -> None: ...

    async def ends(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, PartitionEnd]: ...

    @property
    def stopped(self) -> Mapping[TopicPartition, str]:
        """Partitions that cannot be read on, and why."""


class Trackers(Protocol):
    @property
    def trackers(self) -> Mapping[TopicPartition, Tracker]: ...

    @property
    def waiting(self) -> Collection[TopicPartition]:
        """Partitions in which a record waits for the schema registry."""


class SchemaRegistry(Protocol):
    @property
    def unavailable(self) -> str | None:
        """Why the registry cannot be asked, while a record waits for it."""


class Watchdog:
    """Runs beside the work of a session."""

    def __init__(
        self,
        qa: WorkerSettings,
        consumer: Topics,
        assignment: Trackers,
        limiter: InFlightLimiter,
        health: Health,
        silence: SilenceGuard,
        registry: SchemaRegistry | None = None,
    ) -> None:
        self._qa = qa
        self._consumer = consumer
        self._assignment = assignment
        self._limiter = limiter
        self._health = health
        self._silence = silence
        self._registry = registry
        self._past_deadline = PastDeadlineReporter()

    async def run(self) -> None:
        """Never returns. Raises `StreamingError` when continuing is useless, and
        `SilentSessionError` when a new session can do better.
        """
        try:
            await self._watch()
        finally:
            self._past_deadline.report()

    async def _watch(self) -> None:
        while True:
            self._past_deadline.report()
            lag = await self._measure_lag()
            records = self._records_in_flight()
            self._report_waiting()
            self._health.set_work_pending(records > 0 or lag > 0)
            if self._health.seconds_since_contact > self._qa.outage_seconds:
                raise StreamingError(
                    f"no broker has answered for {self._health.seconds_since_contact:.0f} s "
                    f"(QA_OUTAGE_SECONDS is {self._qa.outage_seconds:g}); giving up"
                )
            if self._health.stalled:
                raise StreamingError(
                    f"{records} records in flight and a lag of {lag}, but no record "
                    f"completed for {self._qa.stall_seconds:g} s (QA_STALL_SECONDS); giving up"
                )
            await self._silence.check(self._health.seconds_since_contact)
            await asyncio.sleep(CHECK_SECONDS)

    def _report_waiting(self) -> None:
        why = (self._registry and self._registry.unavailable) or "it is being asked"
        self._health.waiting_partitions = {
            f"{each.topic} partition {each.partition}": why for each in self._assignment.waiting
        }

    def _records_in_flight(self) -> int:
        """Without those of partitions that wait for the schema registry: a restart would not help
        them.
        """
        waiting, trackers = self._assignment.waiting, self._assignment.trackers
        if not waiting:
            return self._limiter.records
        return sum(each.in_flight for at, each in trackers.items() if at not in waiting)

    async def _measure_lag(self) -> int:
        """The records of all partitions that can be read, together; 0 if the brokers do not answer.

        Raises `StreamingError` if a topic was deleted, or deleted and created again.
        """
        asked = self._assignment.trackers
        try:
            async with deadline(2 * CHECK_SECONDS, "topic ids and end offsets"):
                await self._consumer.check_topics()
                ends = await self._consumer.ends(asked)
        except (KafkaError, TimeoutError) as error:
            if recovery_for(error) is Recovery.FATAL:
                raise
            if self._health.is_throttled:
                return 0  # the request waits for the end of the quota's delay
            seconds = round(self._health.seconds_since_contact)
            log.warning("broker_contact_lost", seconds=seconds, error=format_error(error))
            return 0
        self._health.broker_contact()
        self._silence.answered()
        total, stopped = 0, self._consumer.stopped
        waiting = self._assignment.waiting
        self._health.stopped_partitions = {
            f"{each.topic} partition {each.partition}": why for each, why in stopped.items()
        }
        for partition, tracker in self._assignment.trackers.items():
            # Only if the assignment is still the one that was asked about.
            if asked.get(partition) is not tracker or tracker.position is None:
                continue
            end = ends[partition]
            readable = max(0, end.readable - tracker.position)
            held_up = end.high_watermark - max(end.readable, tracker.position)
            labels = partition.topic, str(partition.partition)
            metrics.LAG.labels(*labels).set(readable + max(0, held_up))
            metrics.HELD_UP_RECORDS.labels(*labels).set(max(0, held_up))
            metrics.POSITION.labels(*labels).set(tracker.position)
            if partition not in stopped and partition not in waiting:
                # No restart of the worker would make the partition go on.
                total += readable
        return total
