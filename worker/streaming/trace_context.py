"""The trace context that a message carries to its consumer: that of the span which sends it.

An answer and a reply carry a context of their own. A record that is sent on (a dead letter, an
unsure question) keeps the context of its question, and gets one only if the question has none.
"""

from collections.abc import Sequence
from dataclasses import replace

from schemas.envelope import TRACE
from worker.kafka.records import InputRecord, OutputRecord
from worker.observability.client_operations import Header
from worker.observability.record_trace import RecordTrace
from worker.streaming.codec import with_trace_context


def new_context(trace: RecordTrace | None) -> Sequence[Header] | None:
    """Trace headers for one message; None if it keeps the question's."""
    return None if trace is None or trace.new_context is None else trace.new_context()


def with_new_context(output: OutputRecord, trace: RecordTrace | None) -> OutputRecord:
    """The same message with trace headers of its own."""
    context = new_context(trace)
    if context is None:
        return output
    return replace(output, headers=with_trace_context(output.headers, context))


def with_context(record: InputRecord, trace: RecordTrace | None) -> InputRecord:
    """The record with trace headers: its own, if it has some."""
    if any(name.lower() in TRACE for name, _ in record.headers):
        return record
    context = new_context(trace)
    return record if context is None else replace(record, headers=[*record.headers, *context])
