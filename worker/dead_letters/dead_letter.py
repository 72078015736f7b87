"""Dead letters: parsing, filtering, and the record that replays one. Pure.

Reading topics is worker/dead_letters/replay.py's task, publishing transaction.py's.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from schemas.dead_letter import parse_dead_letter_headers, replay_attempt
from schemas.rejection import ATTEMPT, REPLAY_OF, Header, Reason
from worker.kafka.records import OutputRecord, RecordPosition


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic."""

    position: RecordPosition
    timestamp_ms: int
    """The record's timestamp, in milliseconds since 1970."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    question_headers: tuple[Header, ...]
    """Those of `headers` with which the question came."""
    reason: str
    """A value of `Reason`, or of a newer version's; empty if no worker wrote the record."""
    message: str
    question: RecordPosition | None
    """Where the question is; None if the headers do not say."""
    attempt: int
    """How many times the question had been replayed."""
    omitted_bytes: int | None
    """Size of the question's value if the dead letter does not have it."""
    omitted_headers: int | None
    """Number of the question's headers if the dead letter does not have them."""
    omitted_key: str | None
    """None if `key` is the question's; else the size of that in bytes, or `null`."""

    @classmethod
    def from_record(cls, record: Any) -> "DeadLetter":
        """`record` is a ConsumerRecord. Missing and malformed headers give empty fields."""
        parsed = parse_dead_letter_headers(record.headers)
        return cls(
            position=RecordPosition(record.topic, record.partition, record.offset),
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
            question_headers=parsed.event_headers,
            reason=parsed.reason,
            message=parsed.message,
            question=None if parsed.event is None else RecordPosition(*parsed.event),
            attempt=parsed.attempt,
            omitted_bytes=parsed.omitted_bytes,
            omitted_headers=parsed.omitted_headers,
            omitted_key=parsed.omitted_key,
        )

    @property
    def question_key(self) -> bytes | None:
        """The question's key, of a dead letter that is complete."""
        return self.key if self.omitted_key is None else None

    @property
    def is_complete(self) -> bool:
        """Whether the dead letter tells its question's key, value and headers."""
        return (
            self.omitted_bytes is None
            and self.omitted_headers is None
            and self.omitted_key in (None, "null")
        )

    def complete(
        self, key: bytes | None, value: bytes | None, headers: Sequence[Header]
    ) -> "DeadLetter | None":
        """The dead letter with all of its question's record, which is given. None if the given is
        another record: a topic that was deleted and created again has another at the same offset.
        """
        expected_key = self.key if self.omitted_key is None else self.omitted_key
        found_key = key if self.omitted_key is None else ("null" if key is None else str(len(key)))
        count = len(headers)
        if (found_key, len(value or b""), count) != (
            expected_key,
            self.size,
            count if self.omitted_headers is None else self.omitted_headers,
        ):
            return None
        return replace(
            self,
            key=key,
            value=value,
            question_headers=tuple(headers),
            attempt=replay_attempt(headers),
            omitted_key=None,
            omitted_bytes=None,
            omitted_headers=None,
        )

    @property
    def size(self) -> int:
        """Bytes of the question's value."""
        return len(self.value or b"") if self.omitted_bytes is None else self.omitted_bytes


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Selects the dead letters that meet all conditions."""

    reasons: frozenset[Reason] = frozenset()
    """Empty: any reason."""
    since: int | None = None
    """Milliseconds since 1970, included."""
    until: int | None = None
    """Milliseconds since 1970, not included."""
    partition: int | None = None
    first: int = 0
    last: int | None = None
    """Offsets from `first` to `last`, both included."""

    def matches(self, dead_letter: DeadLetter) -> bool:
        position = dead_letter.position
        return (
            (not self.reasons or dead_letter.reason in self.reasons)
            and (self.since is None or dead_letter.timestamp_ms >= self.since)
            and (self.until is None or dead_letter.timestamp_ms < self.until)
            and self.partition in (None, position.partition)
            and position.offset >= self.first
            and (self.last is None or position.offset <= self.last)
        )


class SkipReason(StrEnum):
    """Why a dead letter is not replayed."""

    REPLAYED = "already replayed"
    EXPIRED = "expired; --reason expired replays it"
    MAX_ATTEMPTS = "max attempts reached"
    NOT_A_DEAD_LETTER = "not a worker's dead letter"
    VALUE_GONE = "value no longer available"
    TOO_LARGE = "too large for the questions topic"
    OTHER_TOPIC = "its topic is not in QA_QUESTIONS_TOPICS"
    UNREADABLE = "the question's record could not be read"


_WITHOUT_QUESTION = (Reason.UNDECODABLE, Reason.UNREADABLE_BATCH)
"""Their dead letters have the question's value only as far as it could be read."""


def skip_reason(
    dead_letter: DeadLetter,
    *,
    replayed: Container[str],
    max_attempts: int,
    reasons: Container[Reason] = (),
) -> SkipReason | None:
    """`replayed` holds the positions of replayed dead letters, as `str(position)`; `reasons` those
    that the user asks for by name.
    """
    if not dead_letter.reason or dead_letter.question is None:
        return SkipReason.NOT_A_DEAD_LETTER
    unread = dead_letter.value is None and dead_letter.omitted_bytes is None
    if dead_letter.reason in _WITHOUT_QUESTION and unread:
        return SkipReason.UNREADABLE
    if str(dead_letter.position) in replayed:
        return SkipReason.REPLAYED
    if dead_letter.reason == Reason.EXPIRED and Reason.EXPIRED not in reasons:
        return SkipReason.EXPIRED
    return SkipReason.MAX_ATTEMPTS if dead_letter.attempt >= max_attempts else None


def to_replay_record(dead_letter: DeadLetter, topic: str) -> OutputRecord:
    """The question's record with its headers, plus the attempt and the dead letter's position.

    Requires a dead letter that is complete and for which `skip_reason` is None.
    """
    assert dead_letter.question is not None
    headers = [
        header for header in dead_letter.question_headers if header[0] not in (ATTEMPT, REPLAY_OF)
    ]
    headers += [
        (ATTEMPT, str(dead_letter.attempt + 1).encode()),
        (REPLAY_OF, str(dead_letter.position).encode()),
    ]
    partition = dead_letter.question.partition
    return OutputRecord(topic, dead_letter.question_key, dead_letter.value, headers, partition)
