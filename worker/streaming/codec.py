"""Kafka record to event, and outcome to Kafka record. Pure.

The only module that knows both the topics' event schemas and Kafka's records.
"""

from collections.abc import Sequence
from typing import Any

from schemas.answer import Source
from schemas.envelope import TRACE, E, Envelope, decode_event, encode_outcome
from schemas.event import Outcome
from schemas.rejection import (
    HEADERS_OMITTED,
    KEY_OMITTED,
    MESSAGE,
    OMITTED,
    SHORT_MESSAGE_LIMIT,
    VALUE_OMITTED,
    Header,
    Rejected,
    dead_letter_headers,
    split_headers,
)
from schemas.unsure import origin
from schemas.value_format import JSON, ValueFormat
from worker.kafka.records import InputRecord, OutputRecord


def decode_record(kind: type[E], record: InputRecord, *, max_bytes: int) -> Envelope[E]:
    """The record's event of this type, with its metadata packed. Raises `Rejected`."""
    if record.undecodable is not None:
        raise record.undecodable
    # A question that another worker sent on has the id that its answer there would have had.
    asked_at = origin(record.headers)
    default_id = "-".join(map(str, asked_at)) if asked_at else record.default_id
    return decode_event(
        kind, record.value, record.headers, default_id=default_id, max_bytes=max_bytes
    ).packed()


def encode_outcome_record(
    record: InputRecord,
    envelope: Envelope[Any],
    outcome: Outcome,
    topic: str,
    *,
    context: Sequence[Header] | None = None,
    requires_key: bool = False,
    value_format: ValueFormat = JSON,
) -> OutputRecord:
    """The outcome under the question's key, in its content mode, with its correlation headers.

    If the topic requires a key and the question has none, the key is the question's
    topic-partition-offset.

    `context` replaces the question's trace headers. Trace attributes of a CloudEvent are copied
    unchanged: they name the trace that created the event, not the one that processed it.

    Raises `Rejected` if the format cannot hold the outcome.
    """
    source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
    value, headers = encode_outcome(
        envelope.with_metadata(outcome).model_copy(update={"source": source}),
        envelope.mode,
        record.headers if context is None else with_trace_context(record.headers, context),
        source=f"/qa-worker/{record.topic}",
        extensions=envelope.extensions,
        value_format=value_format,
    )
    key = record.key
    if key is None and requires_key:
        key = record.default_id.encode()
    return OutputRecord(topic, key, value, headers, record.partition)


def with_trace_context(headers: Sequence[Header], context: Sequence[Header]) -> list[Header]:
    """The headers with `context` in the place of their trace headers."""
    return [*(each for each in headers if each[0].lower() not in TRACE), *context]


def encode_dead_letter(
    record: InputRecord, rejected: Rejected, topic: str, *, requires_key: bool = False
) -> OutputRecord:
    """The question's record, unchanged, with the rejection in added headers. If the topic requires
    a key and the record has none, the key is its topic-partition-offset, and a header says so.
    """
    headers = dead_letter_headers(
        rejected,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset if record.first_offset is None else record.first_offset,
        headers=record.headers,
    )
    key = record.key
    if key is None and requires_key:
        key = record.default_id.encode()
        headers.append(_key_omitted(record))
    return OutputRecord(topic, key, record.value, headers, record.partition)


def shrink_dead_letter(record: InputRecord, dead_letter: OutputRecord) -> OutputRecord | None:
    """The next form of the record's dead letter, for a topic that does not take this one.

    In this order it omits the question's value, its headers, and its key, in whose place it puts
    topic-partition-offset; what remains points to the question. Headers state what is omitted. None
    if nothing is left to omit.
    """
    question_headers, added = split_headers(dead_letter.headers)
    key, headers = dead_letter.key, list(dead_letter.headers)
    if dead_letter.value is not None:
        headers.append((VALUE_OMITTED, str(len(dead_letter.value)).encode()))
    elif question_headers:
        headers = _shortened(added)
        # The record's own: the worker may have added a trace context (`trace_context.py`), and the
        # replay counts those of the question.
        if record.headers:
            headers.append((HEADERS_OMITTED, str(len(record.headers)).encode()))
    elif KEY_OMITTED not in added:
        key = record.default_id.encode()
        headers = [*_shortened(added), _key_omitted(record)]
    else:
        return None
    return OutputRecord(dead_letter.topic, key, None, headers, dead_letter.source_partition)


def omitted_parts(dead_letter: OutputRecord) -> list[str]:
    """Which of `value`, `headers` and `key` of its question the dead letter does not have."""
    _, added = split_headers(dead_letter.headers)
    return [name.split(".")[1] for name in OMITTED if name in added]


def _shortened(added: dict[str, bytes | None]) -> list[Header]:
    """The added headers in their order, with a message of SHORT_MESSAGE_LIMIT."""
    message = (added.get(MESSAGE) or b"").decode("utf-8", "replace")[:SHORT_MESSAGE_LIMIT]
    shorter = {**added, MESSAGE: message.encode()}
    # `split_headers` returns the last header first.
    return [(name, shorter[name]) for name in reversed(added)]


def _key_omitted(record: InputRecord) -> Header:
    size = b"null" if record.key is None else str(len(record.key)).encode()
    return KEY_OMITTED, size
