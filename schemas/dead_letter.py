"""Reads the headers of a dead letter: the inverse of `schemas.rejection.dead_letter_headers`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.rejection import (
    ATTEMPT,
    HEADERS_OMITTED,
    KEY_OMITTED,
    PREFIX,
    REASON,
    VALUE_OMITTED,
    Header,
    split_headers,
)

_NUMBER = re.compile(rb"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class DeadLetterHeaders:
    """What the headers of a record say. A field that is missing or malformed is empty."""

    event_headers: tuple[Header, ...]
    """The headers with which the event came."""
    reason: str
    """A value of `Reason`, or of a newer version's; empty if the record is not a dead letter."""
    message: str
    event: tuple[str, int, int] | None
    """Topic, partition and offset of the event."""
    attempt: int
    """How many times the event had been replayed."""
    omitted_bytes: int | None
    """Size of the event's value if the dead letter does not have it."""
    omitted_headers: int | None
    """Number of the event's headers if the dead letter does not have them."""
    omitted_key: str | None
    """None if the dead letter's key is the event's; else the size of that in bytes, or `null`."""


def parse_dead_letter_headers(headers: Sequence[Header]) -> DeadLetterHeaders:
    event_headers, added = split_headers(headers)
    topic, partition, offset = (
        added.get(f"{PREFIX}{name}") for name in ("topic", "partition", "offset")
    )
    numbers = _number(partition), _number(offset)
    event = None
    if topic and numbers[0] is not None and numbers[1] is not None:
        event = _text(topic), numbers[0], numbers[1]
    return DeadLetterHeaders(
        event_headers=tuple(event_headers),
        reason=_text(added.get(REASON)),
        message=_text(added.get(f"{PREFIX}exception.message")),
        event=event,
        attempt=replay_attempt(event_headers),
        omitted_bytes=(_number(added[VALUE_OMITTED]) or 0) if VALUE_OMITTED in added else None,
        omitted_headers=(_number(added[HEADERS_OMITTED]) or 0)
        if HEADERS_OMITTED in added
        else None,
        omitted_key=_text(added[KEY_OMITTED]) if KEY_OMITTED in added else None,
    )


def replay_attempt(event_headers: Sequence[Header]) -> int:
    """How many times the event with these headers had been replayed."""
    return _number(dict(event_headers).get(ATTEMPT)) or 0


def _text(header: bytes | None) -> str:
    return (header or b"").decode("utf-8", "replace")


def _number(header: bytes | None) -> int | None:
    return int(header) if header and _NUMBER.fullmatch(header) else None
