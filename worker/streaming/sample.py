"""The questions that `QA_SAMPLE` leaves out. Pure."""

from dataclasses import dataclass

import structlog

from schemas.sample import in_sample
from worker.kafka.records import InputRecord
from worker.streaming.delivery.base import ProcessedRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """One for a session."""

    share: float = 1.0
    """QA_SAMPLE."""

    def contains(self, event_id: str) -> bool:
        """Whether the worker answers the event with this id."""
        return in_sample(event_id, self.share)

    def contains_unread(self, record: InputRecord, name: str) -> bool:
        """Whether the worker rejects a record that it cannot answer. `name` is the event's id, if
        the event could be read.

        Without an id the record's topic-partition-offset decides, so that rejections have the same
        share of the outcomes as in the whole topic.
        """
        return name != record.default_id or self.contains(name)

    @staticmethod
    def leave_out(record: InputRecord, name: str) -> ProcessedRecord:
        """The outcome of a record out of the sample: no outputs; its offset is committed."""
        log.debug("out_of_sample", **record.place, id=name)
        return ProcessedRecord(record.offset, (), None, out_of_sample=True)
