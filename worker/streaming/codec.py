"""Kafka record to event, and outcome to Kafka record. Pure.

The only module that knows both the topics' event schemas and Kafka's records.
"""

from collections.abc import Sequence
from typing import Any

from schemas.answer import Source
from schemas.envelope import TRACE, E, Envelope, decode_event, encode_outcome
from schemas.event import Outcome
from schemas.rejection import VALUE_OMITTED, Header, Rejected, dead_letter_headers
from worker.kafka.records import InputRecord, OutputRecord


def decode_record(kind: type[E], record: InputRecord, *, max_bytes: int) -> Envelope[E]:
    """The record's event of this type. Raises `Rejected`."""
    if record.undecodable is not None:
        raise record.undecodable
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
    """The outcome under the question's key, in its content mode, with its correlation headers.

    `context` replaces the question's trace headers. Trace attributes of a CloudEvent are copied
    unchanged: they name the trace that created the event, not the one that processed it.
    """
    source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
    value, headers = encode_outcome(
        outcome.model_copy(update={"source": source}),
        envelope.mode,
        record.headers if context is None else with_trace_context(record.headers, context),
        source=f"/qa-worker/{record.topic}",
        extensions=envelope.extensions,
    )
    return OutputRecord(topic, record.key, value, headers, record.partition)


def with_trace_context(headers: Sequence[Header], context: Sequence[Header]) -> list[Header]:
    """The headers with `context` in the place of their trace headers."""
    return [*(each for each in headers if each[0].lower() not in TRACE), *context]


def encode_dead_letter(record: InputRecord, rejected: Rejected, topic: str) -> OutputRecord:
    """The question's record, unchanged, with the rejection in added headers."""
    headers = dead_letter_headers(
        rejected,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset if record.first_offset is None else record.first_offset,
        headers=record.headers,
    )
    return OutputRecord(topic, record.key, record.value, headers, record.partition)


def drop_value(dead_letter: OutputRecord) -> OutputRecord:
    """The same dead letter without its value, for a topic that does not accept its size.

    A header states the size of the value, which remains on the questions topic at the offset that
    the headers name.
    """
    omitted = (VALUE_OMITTED, str(len(dead_letter.value or b"")).encode())
    return OutputRecord(
        dead_letter.topic,
        dead_letter.key,
        None,
        [*dead_letter.headers, omitted],
        dead_letter.source_partition,
    )
