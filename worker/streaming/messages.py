"""A record to its event, and the event's outcome to the record that is published. Pure.

The only place where the contracts of the topics meet Kafka's records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.answer import Source
from schemas.envelope import TRACE, E, Envelope, open_envelope, seal
from schemas.event import Outcome
from schemas.rejection import VALUE_OMITTED, Header, Rejected, dead_letter_headers
from worker.streaming.records import Outgoing


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record from the questions topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    produced_ms: int | None = None
    """Its timestamp, if it has one: when it was made, or came to the topic, since the epoch."""

    @property
    def size(self) -> int:
        """Bytes of key, value and headers: what the record costs while it is in flight."""
        headers = sum(len(name.encode()) + len(text or b"") for name, text in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    @property
    def default_id(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


def open_record(kind: type[E], record: Incoming, *, max_bytes: int) -> Envelope[E]:
    """The event of this kind in the record. Raises `Rejected`."""
    return open_envelope(
        kind, record.value, record.headers, default_id=record.default_id, max_bytes=max_bytes
    )


def outcome_record(
    record: Incoming,
    envelope: Envelope[Any],
    outcome: Outcome,
    topic: str,
    *,
    context: Sequence[Header] | None = None,
) -> Outgoing:
    """The outcome, under the event's key, in its shape, with its correlation headers, and its trace
    headers, or `context` in the place of those. Attributes of a CloudEvent come back as they are:
    there a trace says what the event came from, whatever was done to it since.
    """
    source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
    value, headers = seal(
        outcome.model_copy(update={"source": source}),
        envelope.mode,
        record.headers if context is None else in_context(record.headers, context),
        source=f"/qa-worker/{record.topic}",
        extensions=envelope.extensions,
    )
    return Outgoing(topic, record.key, value, headers, lane=record.partition)


def in_context(headers: Sequence[Header], context: Sequence[Header]) -> list[Header]:
    """The headers with the trace context of the worker's own span."""
    return [*(each for each in headers if each[0].lower() not in TRACE), *context]


def dead_letter(record: Incoming, rejected: Rejected, topic: str) -> Outgoing:
    """The event's record, unchanged, with the reason in its headers."""
    headers = dead_letter_headers(
        rejected,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        headers=record.headers,
    )
    return Outgoing(topic, record.key, record.value, headers, lane=record.partition)


def without_value(letter: Outgoing) -> Outgoing:
    """The same dead letter for a topic that does not take its size: a header says what is gone.

    The bytes stay on the questions topic, at the offset that the headers name.
    """
    omitted = (VALUE_OMITTED, str(len(letter.value or b"")).encode())
    return Outgoing(letter.topic, letter.key, None, [*letter.headers, omitted], letter.lane)
