"""What the partitions of a session share."""

from dataclasses import dataclass

from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.delivery.base import Delivery
from worker.streaming.processor import RecordProcessor


@dataclass(frozen=True, slots=True)
class PartitionContext:
    """One for a session."""

    processor: RecordProcessor
    delivery: Delivery
    limiter: InFlightLimiter
    dead_letter_limit: DeadLetterLimit
    health: Health
    traces: TraceDispatcher
    batch_records: int
    """Records that are delivered without waiting for the interval, and at most together."""
