"""Answers of leaders and coordinators that refuse a record for good, and what they say of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.errors import (
    InvalidRequiredAcksError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedForMessageFormatError,
)

from worker.kafka.error_codes import InvalidRecord, UnsupportedCompressionType
from worker.kafka.receipts import Receipt

TOO_LARGE = (MessageSizeTooLargeError.errno, RecordListTooLargeError.errno)
REFUSED = (*TOO_LARGE, InvalidRecord.errno, InvalidTimestampError.errno)
"""Answers to a batch that no repetition changes."""

FORBIDDEN = (InvalidTopicError.errno, TopicAuthorizationFailedError.errno)
"""Answers that refuse the records of a foreign topic, and end the worker for one of its own."""

FOREIGN_FINAL = (
    *REFUSED,
    *FORBIDDEN,
    InvalidRequiredAcksError.errno,
    UnsupportedForMessageFormatError.errno,
    PolicyViolationError.errno,
    UnsupportedCompressionType.errno,
)
"""Answers of a leader that the configuration of a foreign topic can cause."""

FOREIGN_REFUSALS = (*FORBIDDEN, UnknownTopicOrPartitionError.errno)
"""With which a coordinator refuses to add a foreign topic to a transaction."""

FOREIGN_PAUSES = (0.05, 0.1, 0.2, 0.5)
"""Seconds before each repetition of a request that the coordinator refuses for a foreign topic that
other brokers know: it may have been created a moment ago."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a leader does not take a record."""

    topic: str
    error: str
    """The protocol's name of the error."""
    reason: str
    """The broker's words, or the error's description."""
    too_large: bool
    missing: bool = False
    """Of a foreign topic: it, its partition, or the right to write to it does not exist."""

    def __str__(self) -> str:
        if self.missing:
            return self.reason
        return f"{self.topic} refuses the record: {self.error}: {self.reason}"


class RecordsRefusedError(KafkaError):  # type: ignore[misc]  # aiokafka is untyped
    """Their topics never take these records, however often they are sent."""

    def __init__(
        self, refusals: Mapping[int, Refusal], acknowledged: Mapping[int, Receipt]
    ) -> None:
        """`refusals` maps the index of a record among those that were sent. Empty: the leader did
        not say which record of a batch it means; sent again, each has a batch of its own.
        `acknowledged` maps the index of a record that was taken before to its receipt.
        """
        super().__init__("; ".join(str(each) for each in refusals.values()))
        self.refusals = refusals
        self.acknowledged = acknowledged


def missing(topic: str, reason: str) -> Refusal:
    """The refusal of a record for a foreign topic that cannot be written to."""
    error = UnknownTopicOrPartitionError.message
    return Refusal(topic, error, reason, too_large=False, missing=True)
