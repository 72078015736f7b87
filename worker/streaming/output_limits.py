"""The largest record that each output topic takes, and the dead letters that fit."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from schemas.rejection import Reason
from worker.kafka.errors import StreamingError
from worker.kafka.records import InputRecord, OutputRecord
from worker.streaming.codec import omitted_parts, shrink_dead_letter
from worker.streaming.replies import Reply

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """One for a session."""

    max_bytes: Mapping[str, int]
    """Topic to `max.message.bytes`, or to less where KAFKA_MAX_REQUEST_SIZE is less."""

    def allow(self, output: OutputRecord, reply: Reply | None = None) -> bool:
        """Whether the output's topic, which may be that of the reply, takes its bytes."""
        if reply is not None and output.topic == reply.topic:
            return output.size <= reply.max_bytes
        return output.size <= self.max_bytes[output.topic]

    def fit(self, record: InputRecord, dead_letter: OutputRecord, reason: Reason) -> OutputRecord:
        """The largest form of the record's dead letter that its topic takes. Raises
        `StreamingError` if it takes none.
        """
        while not self.allow(dead_letter):
            limit = self.max_bytes[dead_letter.topic]
            why = f"{dead_letter.topic} takes {limit} bytes of its {dead_letter.size}"
            dead_letter = self.shrink(record, dead_letter, reason, why)
        return dead_letter

    def shrink(
        self, record: InputRecord, dead_letter: OutputRecord, reason: Reason, why: str
    ) -> OutputRecord:
        """The next smaller form. Raises `StreamingError` if there is none."""
        smaller = shrink_dead_letter(record, dead_letter)
        if smaller is None:
            raise StreamingError(
                f"no dead letter for the record at {record.topic} partition {record.partition} "
                f"offset {record.offset} ({reason}), not even one that only names it: {why}. "
                f"Change the configuration of {dead_letter.topic} (max.message.bytes, or a check "
                f"of its records)"
            )
        log.error(
            "dead_letter_reduced",
            **record.place,
            reason=str(reason),
            omitted=omitted_parts(smaller),
            why=why,
        )
        return smaller
