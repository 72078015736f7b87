"""Dead letters, as whoever looks at them and sends them again understands them. Pure.

From a record of the dead-letter topic to a `DeadLetter`, which letters a command means, and what
the question looks like that is sent again. Reading topics and publishing is left to others.
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.rejection import (
    ATTEMPT,
    PREFIX,
    REASON,
    REPLAY_OF,
    VALUE_OMITTED,
    Header,
    Reason,
    split_headers,
)
from worker.kafka.records import OutputRecord

_NUMBER = re.compile(rb"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic."""

    place: RecordPosition
    timestamp: int
    """Of the letter's record, in milliseconds since 1970."""
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    """All of them."""
    own_headers: tuple[Header, ...]
    """Those with which the question came."""
    reason: str
    """Of `Reason`, or of a newer worker's; empty if this is no worker's dead letter."""
    message: str
    question: RecordPosition | None
    """Where the question lay; `None` if the headers do not say."""
    attempt: int
    """How often it had been sent again."""
    omitted: int | None
    """Bytes of the question's value if the letter does not have it."""

    @property
    def size(self) -> int:
        """Bytes of the question's value."""
        return len(self.value or b"") if self.omitted is None else self.omitted


def parse_dead_letter(record: Any) -> DeadLetter:
    """Whatever the record says: what it does not say, or says in no way that we know, is empty."""
    own, added = split_headers(record.headers)
    topic, partition, offset = (
        added.get(f"{PREFIX}{name}") for name in ("topic", "partition", "offset")
    )
    numbers = _number(partition), _number(offset)
    question = None
    if topic and numbers[0] is not None and numbers[1] is not None:
        question = RecordPosition(_text(topic), numbers[0], numbers[1])
    return DeadLetter(
        place=RecordPosition(record.topic, record.partition, record.offset),
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        own_headers=tuple(own),
        reason=_text(added.get(REASON)),
        message=_text(added.get(f"{PREFIX}exception.message")),
        question=question,
        attempt=_number(dict(own).get(ATTEMPT)) or 0,
        omitted=(_number(added[VALUE_OMITTED]) or 0) if VALUE_OMITTED in added else None,
    )


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which letters a command means: those to which all of it applies."""

    reasons: frozenset[Reason] = frozenset()
    """None: any."""
    since: int | None = None
    """In milliseconds since 1970, as `until`: from `since` on, and before `until`."""
    until: int | None = None
    partition: int | None = None
    first: int = 0
    """Offsets, both included."""
    last: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        place = letter.place
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.timestamp >= self.since)
            and (self.until is None or letter.timestamp < self.until)
            and self.partition in (None, place.partition)
            and place.offset >= self.first
            and (self.last is None or place.offset <= self.last)
        )


class SkipReason(StrEnum):
    """Why a letter is not sent again."""

    REPLAYED = "replayed before"
    MAX_ATTEMPTS = "at the most attempts"
    NO_LETTER = "no dead letter of a worker"
    VALUE_GONE = "its value is gone"
    TOO_LARGE = "too large for the questions topic"


def skip_reason(
    letter: DeadLetter, *, replayed: Container[str], max_attempts: int
) -> SkipReason | None:
    """`replayed` has the places of letters that were sent again already."""
    if not letter.reason or letter.question is None:
        return SkipReason.NO_LETTER
    if str(letter.place) in replayed:
        return SkipReason.REPLAYED
    return SkipReason.MAX_ATTEMPTS if letter.attempt >= max_attempts else None


def to_replay_record(letter: DeadLetter, value: bytes | None, topic: str) -> OutputRecord:
    """The question's record: as it came, and how often it has been sent again.

    `value` is the question's. The letter is one that `skip_reason` does not skip.
    """
    assert letter.question is not None
    headers = [header for header in letter.own_headers if header[0] not in (ATTEMPT, REPLAY_OF)]
    headers += [
        (ATTEMPT, str(letter.attempt + 1).encode()),
        (REPLAY_OF, str(letter.place).encode()),
    ]
    return OutputRecord(
        topic, letter.key, value, headers, source_partition=letter.question.partition
    )


def _text(header: bytes | None) -> str:
    return (header or b"").decode("utf-8", "replace")


def _number(header: bytes | None) -> int | None:
    return int(header) if header and _NUMBER.fullmatch(header) else None
