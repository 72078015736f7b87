"""Lag, signs of life from the brokers, and the end of patience.

Asks the brokers where the partitions end, tells Health what it learns, and gives up where
waiting has no use: brokers away for too long, or work that is due and never done.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from worker.kafka.consumer import GroupConsumer
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.observability import metrics
from worker.observability.health import Health
from worker.settings import WorkerSettings
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.offset_tracker import OffsetTracker

log = structlog.get_logger(__name__)

PULSE_SECONDS = 5.0
"""How often the brokers are asked; an answer may take twice that."""

Ledgers = Callable[[], Mapping[TopicPartition, OffsetTracker]]


class Watchdog:
    """Runs beside the work of a session."""

    def __init__(
        self,
        qa: WorkerSettings,
        intake: GroupConsumer,
        in_flight: InFlightLimiter,
        health: Health,
        ledgers: Ledgers,
    ) -> None:
        """`ledgers` gives those of the assignment at the moment."""
        self._qa = qa
        self._intake = intake
        self._in_flight = in_flight
        self._health = health
        self._ledgers = ledgers

    async def watch(self) -> None:
        """Never returns. Raises `StreamingError` where going on has no use."""
        while True:
            lag = await self._pulse()
            self._health.due(self._in_flight.records > 0 or lag > 0)
            if self._health.silence > self._qa.outage_seconds:
                raise StreamingError(
                    f"no broker has answered for {self._health.silence:.0f} s "
                    f"(QA_OUTAGE_SECONDS is {self._qa.outage_seconds:g}); giving up"
                )
            if self._health.stalled:
                raise StreamingError(
                    f"{self._in_flight.records} records in flight and a lag of {lag}, but none "
                    f"was finished for {self._qa.stall_seconds:g} s (QA_STALL_SECONDS); giving up"
                )
            await asyncio.sleep(PULSE_SECONDS)

    async def _pulse(self) -> int:
        """The lag of all partitions together; 0 where the brokers do not say."""
        asked = self._ledgers()
        try:
            async with asyncio.timeout(2 * PULSE_SECONDS):
                ends = await self._intake.end_offsets(asked)
        except (KafkaError, TimeoutError) as error:
            if recovery_for(error) is Recovery.FATAL:
                raise
            seconds = round(self._health.silence)
            log.warning("broker_contact_lost", seconds=seconds, error=format_error(error))
            return 0
        self._health.contacted()
        total = 0
        for partition, ledger in self._ledgers().items():
            # Only where the assignment is still the one that was asked about.
            if asked.get(partition) is not ledger or ledger.safe is None:
                continue
            lag = max(0, ends[partition] - ledger.safe)
            labels = partition.topic, str(partition.partition)
            metrics.LAG.labels(*labels).set(lag)
            metrics.POSITION.labels(*labels).set(ledger.safe)
            total += lag
        return total
