"""A record of a partition that was added and whose outcome is not acknowledged."""

import asyncio
from dataclasses import dataclass

from worker.kafka.records import InputRecord
from worker.observability.record_trace import RecordTrace
from worker.streaming.delivery.base import ProcessedRecord


@dataclass(frozen=True, slots=True)
class InFlightRecord:
    """The record, and the task that processes it."""

    record: InputRecord
    processing: asyncio.Task[ProcessedRecord]
    added: float
    trace: RecordTrace | None

    def cancel(self) -> None:
        """Its processing is not needed; this reaches the engine."""
        if not self.processing.cancel() and not self.processing.cancelled():
            self.processing.exception()  # retrieved, or asyncio logs it
