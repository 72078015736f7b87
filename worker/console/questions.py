"""Sends a question from the console through Kafka and reports its outcome, with the stages that
this worker recorded for it.
"""

import asyncio
import json
import time
import uuid
from typing import Any

from schemas.rejection import Reason
from worker.client import QuestionClient, QuestionResult
from worker.console.trace_collector import MARK, PendingQuestion, TraceCollector, batches, stages
from worker.kafka.records import RecordPosition
from worker.observability.record_trace import OUT_OF_SAMPLE
from worker.settings import Settings

ANSWER_SECONDS = 30.0
"""Timeout for an answer. The default of `qa-worker ask --timeout` is the same."""

COMMIT_SECONDS = 2.0
"""Time to wait for the commit after the answer was read, in addition to the commit interval: with
at-least-once delivery the worker commits after the answer is readable."""

MAX_PENDING = 4
"""Limit of concurrent questions. Each question opens its own connections and closes them at the
end: a client that stays open would read every answer of the consumer group all the time."""


_DROPPED = QuestionResult(
    None, None, (), reason=str(Reason.EXPIRED), detail="the deadline passed, and QA_EXPIRED is drop"
)
"""Of a question that has no outcome."""

_OUT_OF_SAMPLE = QuestionResult(
    None, None, (), reason=OUT_OF_SAMPLE, detail="QA_SAMPLE leaves the question's id out"
)
"""The same."""


class BusyError(Exception):
    """`MAX_PENDING` questions are waiting for their outcome."""


class Questions:
    """Sends the console's questions. Does not validate them: the worker that reads them does."""

    def __init__(self, settings: Settings, collector: TraceCollector) -> None:
        self._settings = settings
        self._collector = collector
        self._pending = 0
        self._commit_timeout = settings.qa.commit_interval_ms / 1000 + COMMIT_SECONDS

    async def ask(self, value: bytes) -> bytes:
        """Send a record with this value and wait for its outcome. Returns a report in JSON: the
        record's position, the answer or the rejection, and its trace if this worker has one.

        Raises `BusyError`, `KafkaError`, `StreamingError`, and `TimeoutError` if no outcome
        arrives in `ANSWER_SECONDS`; its message is why answers could not be read, or empty.
        """
        if self._pending == MAX_PENDING:
            raise BusyError(f"{MAX_PENDING} questions are pending; try again later")
        self._pending += 1
        try:
            return await self._ask(value)
        finally:
            self._pending -= 1

    async def _ask(self, value: bytes) -> bytes:
        mark = f"console-{uuid.uuid4()}".encode()
        async with QuestionClient.open(self._settings) as client:
            with self._collector.watch(mark) as pending:
                sent_at = time.time_ns()
                position = await client.send(value, headers=[(MARK, mark)])
                try:
                    result = await _wait_for_result(client, position, pending)
                except TimeoutError:
                    raise TimeoutError(client.unread) from None
                milliseconds = (time.time_ns() - sent_at) / 1e6
                trace = await self._trace(pending, sent_at)
        return _report(position, result, milliseconds, pending.seen, trace)

    async def _trace(self, pending: PendingQuestion, sent_at: int) -> dict[str, Any] | None:
        """Returns stages and micro-batches, or None if this worker did not commit the question.

        `sent_at` is in nanoseconds since the epoch.
        """
        if not pending.seen:
            return None
        try:
            trace = await asyncio.wait_for(pending.trace, self._commit_timeout)
        except TimeoutError:
            return None
        return {
            "stages": [stage._asdict() for stage in stages(trace, sent_at)],
            "batches": [batch._asdict() for batch in batches(trace, sent_at)],
            "dropped": pending.dropped,
            "cache": trace.cache,
        }


async def _wait_for_result(
    client: QuestionClient, position: RecordPosition, pending: PendingQuestion
) -> QuestionResult:
    """The record that the question led to; `_DROPPED` or `_OUT_OF_SAMPLE` if this worker gave it no
    outcome. Raises as `QuestionClient.wait_for_result`.
    """
    arriving = asyncio.create_task(client.wait_for_result(position, timeout_seconds=ANSWER_SECONDS))
    try:
        await asyncio.wait((arriving, pending.trace), return_when=asyncio.FIRST_COMPLETED)
        if pending.trace.done():
            if pending.trace.result().expired == "drop":
                return _DROPPED
            if pending.trace.result().outcome == OUT_OF_SAMPLE:
                return _OUT_OF_SAMPLE
        return await arriving
    finally:
        arriving.cancel()


def _report(
    position: RecordPosition,
    result: QuestionResult,
    milliseconds: float,
    seen: bool,
    trace: dict[str, Any] | None,
) -> bytes:
    report = {
        "topic": position.topic,
        "partition": position.partition,
        "offset": position.offset,
        "milliseconds": milliseconds,
        "seen": seen,
        "trace": trace,
    }
    if result.reason:
        rejected = {
            "reason": result.reason,
            "detail": result.detail,
            "dead_letter": result not in (_DROPPED, _OUT_OF_SAMPLE),
        }
        return json.dumps({**report, "rejected": rejected}).encode()
    # The answer is JSON already, in whatever format it came, and may be long, so it is inserted
    # without parsing it.
    head = json.dumps(report).encode()
    return head[:-1] + b', "outcome": ' + (result.value or b"null") + b"}"
