"""A record to its event, and the event's outcome to the record that is published. Pure.

The only place where the contracts of the topics meet Kafka's records.
"""

from collections.abc import Sequence
from typing import Any

from schemas.answer import Source
from schemas.envelope import TRACE, E, Envelope, decode_event, encode_outcome
from schemas.event import Outcome
from schemas.rejection import VALUE_OMITTED, Header, Rejected, dead_letter_headers
from worker.kafka.records import InputRecord, OutputRecord


def decode_record(kind: type[E], record: InputRecord, *, max_bytes: int) -> Envelope[E]:
    """The event of this kind in the record. Raises `Rejected`."""
    return decode_event(
        kind, record.value, record.headers, default_id=record.default_id, max_bytes=max_bytes
    )


def encode_outcome_record(
    record: InputRecord,
    envelope: Envelope[Any],
    outcome: Outcome,
    topic: str,
    *,
    context: Sequence[Header] | None = None,
) -> OutputRecord:
    """The outcome, under the event's key, in its shape, with its correlation headers, and its trace
    headers, or `context` in the place of those. Attributes of a CloudEvent come back as they are:
    there a trace says what the event came from, whatever was done to it since.
    """
    source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
    value, headers = encode_outcome(
        outcome.model_copy(update={"source": source}),
        envelope.mode,
        record.headers if context is None else with_trace_context(record.headers, context),
        source=f"/qa-worker/{record.topic}",
        extensions=envelope.extensions,
    )
    return OutputRecord(topic, record.key, value, headers, source_partition=record.partition)


def with_trace_context(headers: Sequence[Header], context: Sequence[Header]) -> list[Header]:
    """The headers with the trace context of the worker's own span."""
    return [*(each for each in headers if each[0].lower() not in TRACE), *context]


def encode_dead_letter(record: InputRecord, rejected: Rejected, topic: str) -> OutputRecord:
    """The event's record, unchanged, with the reason in its headers."""
    headers = dead_letter_headers(
        rejected,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        headers=record.headers,
    )
    return OutputRecord(topic, record.key, record.value, headers, source_partition=record.partition)


def drop_value(letter: OutputRecord) -> OutputRecord:
    """The same dead letter for a topic that does not take its size: a header says what is gone.

    The bytes stay on the questions topic, at the offset that the headers name.
    """
    omitted = (VALUE_OMITTED, str(len(letter.value or b"")).encode())
    return OutputRecord(
        letter.topic, letter.key, None, [*letter.headers, omitted], letter.source_partition
    )
