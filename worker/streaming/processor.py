"""From an input record to the records that are published for it: an answer, or a dead letter.

Runs the record through the engine and applies the topics' size limits. Ordering and delivery are
PartitionProcessor's job.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

import structlog

from schemas.answer import Answer
from schemas.envelope import JSON, Envelope, ValueFormat
from schemas.event import Event, Outcome
from schemas.rejection import Reason, Rejected
from worker.inference.cache.answer_cache import AnswerCache
from worker.inference.result import R, ReadResult
from worker.kafka.records import InputRecord, OutputRecord
from worker.observability import metrics
from worker.observability.record_trace import RecordTrace
from worker.observability.timings import StageTiming
from worker.streaming.backpressure import EngineLoad
from worker.streaming.codec import (
    decode_record,
    encode_dead_letter,
    encode_outcome_record,
)
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.delivery.base import ProcessedRecord, Refusals
from worker.streaming.output_limits import OutputLimits
from worker.streaming.replies import (
    Reply,
    ReplyRouter,
    log_dropped,
    rejection_for,
    reply_after,
    with_event_id,
)
from worker.streaming.sample import Sample
from worker.streaming.schema_waits import SchemaWait, SchemaWaits
from worker.streaming.trace_context import new_context, with_context, with_new_context
from worker.streaming.unsure import UnsureQuestions, Verdict, encode_unsure_question

log = structlog.get_logger(__name__)

INLINE_BYTES = 64 * 1024
"""JSON up to this size is decoded and encoded on the event loop, in well under a millisecond.
Larger JSON goes to a thread: a blocked loop sends no heartbeats."""

_NAMED_FIELDS = 20
"""How many unknown fields of an event are logged; a record may have a hundred thousand."""

_DECODE = metrics.STAGE.labels("decode")
_SCHEMA = metrics.STAGE.labels("schema")

P = ParamSpec("P")
T = TypeVar("T")


class Engine(EngineLoad, Protocol):
    """What streaming needs of an inference engine."""

    on_progress: Callable[[], None] | None
    """Called on any thread after `pending_tokens` has fallen."""

    @property
    def event_type(self) -> type[Event[Outcome]]:
        """The type of events that `submit` takes."""

    def submit(self, event: Event[R], /, *, queue: str = "") -> "Future[ReadResult[R]]":
        """The future raises `Rejected` for an event that is rejected. Queues share the engine."""


class ValueReader(Protocol):
    """Reads values that are not JSON."""

    @property
    def unavailable(self) -> str | None:
        """Why the registry cannot be asked, while a record waits for it."""

    async def read(self, record: InputRecord, wait: AbstractContextManager[None]) -> InputRecord:
        """The record with its value as JSON. Within `wait` it waits for the registry, without a
        deadline. Raises `Rejected`.
        """


@dataclass(frozen=True, slots=True)
class RecordProcessor:
    """One for a session."""

    engine: Engine
    decoders: Executor
    answers_topic: str
    dead_letters_topic: str
    max_record_bytes: int
    deadlines: DeadlinePolicy
    replies: ReplyRouter
    limits: OutputLimits
    compacted: Collection[str] = ()
    """Topics that take no record without a key."""
    unsure: UnsureQuestions = field(default_factory=UnsureQuestions)
    cache: AnswerCache | None = None
    """In front of the engine."""
    sample: Sample = field(default_factory=Sample)
    values: ValueReader | None = None
    """None: every value is JSON."""
    answer_format: ValueFormat = JSON

    async def process(
        self, record: InputRecord, trace: RecordTrace | None, waits: SchemaWaits | None = None
    ) -> ProcessedRecord:
        """Decode, infer and encode; a rejection becomes a dead letter. While the record waits for
        its schema, it is one of `waits`.

        Raises errors that are not caused by the record.
        """
        name = record.default_id
        reply: Reply | None = None
        started_ns = time.time_ns()
        decoded = False
        try:
            reply = await self.replies.find(record)
            started = time.perf_counter()
            if trace is not None and reply is not None:
                trace.reply_topic = reply.topic
            readable, max_bytes = record, self.max_record_bytes
            if self.values is not None and len(record.value or b"") <= max_bytes:
                wait = SchemaWait(record, waits)
                readable = await self.values.read(record, wait)
                if readable is not record:
                    max_bytes = sys.maxsize  # of the record's own value
                if wait.ended:
                    started += wait.seconds
                    started_ns = wait.ended
                    _SCHEMA.observe(wait.seconds)
                    if trace is not None:
                        trace.stages.append(StageTiming("schema", wait.began, wait.ended))
            envelope, cache_key = await self._run_sized(readable, self._decode, readable, max_bytes)
            decoded = True
            _DECODE.observe(time.perf_counter() - started)
            name = envelope.event.id or name
            reply = with_event_id(reply, name)
            if trace is not None:
                trace.id = name
                trace.add_stage("decode", started_ns)
            if not self.sample.contains(name):
                return self.sample.leave_out(record, name)
            if envelope.ignored:
                fields = envelope.ignored[:_NAMED_FIELDS]
                log.debug("unknown_fields", **record.place, id=name, fields=fields)
            event, deadline = self.deadlines.apply(envelope.event, record)
            if trace is not None and deadline is not None:
                trace.deadline = deadline.seconds
            is_late = self.deadlines.has_passed(deadline)
            result = await self._infer(event, cache_key, record.topic)
            is_late = is_late or self.deadlines.passed_before_inference(deadline, result.timings)
            if trace is not None:
                trace.add_timings(result.timings)
            verdict = self.unsure.verdict(envelope.event, result.outcome)
            outputs: tuple[OutputRecord, ...]
            if verdict is Verdict.UNSURE and self.unsure.topic:
                # The worker that answers it replies: the record keeps its headers.
                source = with_context(record, trace)
                outputs = (self._send_on(source, name, result.outcome, self.unsure.topic),)
            else:
                output = await self._run_sized(
                    record,
                    encode_outcome_record,
                    record,
                    envelope,
                    result.outcome,
                    self.answers_topic,
                    context=new_context(trace),
                    requires_key=self.answers_topic in self.compacted,
                    value_format=self.answer_format,
                )
                first, *others = self.replies.outputs(record, output, reply)
                outputs = first, *(with_new_context(other, trace) for other in others)
                log.debug("answered", **record.place, id=name, type=result.outcome.TYPE)
            for output in outputs:
                if not self.limits.allow(output, reply):
                    raise Rejected(
                        Reason.ANSWER_TOO_LARGE,
                        f"the outcome takes {output.size} bytes, more than {output.topic} allows",
                    )
            return ProcessedRecord(
                record.offset, outputs, None, reply, verdict, answered_late=is_late
            )
        except Rejected as rejected:
            if trace is not None and not decoded:
                trace.id = name
                trace.add_stage("decode", started_ns)
            if not self.sample.contains_unread(record, name):
                return self.sample.leave_out(record, name)
            return self._reject(record, name, rejected, reply, trace)

    def _send_on(self, record: InputRecord, name: str, answer: Outcome, topic: str) -> OutputRecord:
        """The record for the topic of unsure questions."""
        assert isinstance(answer, Answer)
        log.debug("unsure", **record.place, id=name, score=answer.score, to=topic)
        return encode_unsure_question(record, answer, topic, requires_key=topic in self.compacted)

    def _decode(
        self, record: InputRecord, max_bytes: int
    ) -> tuple[Envelope[Event[Outcome]], bytes | None]:
        """The record's event, and its key in the cache, if there is one. Raises `Rejected`."""
        kind = self.engine.event_type
        envelope = decode_record(kind, record, max_bytes=max_bytes)
        if self.cache is None or not self.sample.contains(envelope.event.id or ""):
            return envelope, None
        return envelope, self.cache.key(envelope.event)

    async def _infer(self, event: Event[R], cache_key: bytes | None, queue: str) -> ReadResult[R]:
        if self.cache is None or cache_key is None:
            future = self.engine.submit(event, queue=queue)
        else:
            future = self.cache.submit(event, cache_key, queue=queue)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The engine cancelled its future; this task was not cancelled.
            raise RuntimeError("the engine was closed with a record in flight") from None

    async def _run_sized(
        self, record: InputRecord, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `step` inline for records up to INLINE_BYTES, otherwise in the decoding thread."""
        if record.size <= INLINE_BYTES:
            return step(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.decoders, partial(step, *args, **kwargs))

    def replace_refused(
        self,
        record: InputRecord,
        refused: ProcessedRecord,
        refusals: Refusals,
        trace: RecordTrace | None = None,
    ) -> ProcessedRecord:
        """What is delivered for the record in the place of `refused`, some of whose outputs their
        topics refuse: for an answer a dead letter, for a dead letter a smaller one.

        Raises `StreamingError` if the topic refuses the smallest one.
        """
        reply = refused.reply
        if refused.reason is None:
            refusal = next(iter(refusals.values()))
            name = reply.event_id if reply is not None else record.default_id
            rejected = rejection_for(refusal)
            sent = reply_after(reply, refusals.values())
            # The question asks for a reply, whether or not there is an error reply.
            return replace(self._reject(record, name, rejected, sent, trace), reply=reply)
        # The dead letter comes first, and an error reply behind it.
        dead_letter, *error_reply = refused.outputs
        if reply is not None and 1 in refusals:
            log_dropped(record, reply, str(refusals[1]))
            error_reply = []
        if 0 in refusals:
            why = str(refusals[0])
            dead_letter = self.limits.shrink(record, dead_letter, refused.reason, why)
        fitting = self.limits.fit(record, dead_letter, refused.reason)
        return ProcessedRecord(record.offset, (fitting, *error_reply), refused.reason, reply)

    def _reject(
        self,
        record: InputRecord,
        name: str,
        rejected: Rejected,
        reply: Reply | None,
        trace: RecordTrace | None = None,
    ) -> ProcessedRecord:
        if trace is not None:
            trace.detail = rejected.detail
        event = {**record.place, "id": name, "reason": str(rejected.reason)}
        if rejected.reason is Reason.EXPIRED:
            # After an outage thousands may expire; the watchdog logs their number.
            log.debug("expired", **event, detail=rejected.detail, mode=self.deadlines.expired)
            if self.deadlines.expired == "drop":
                return ProcessedRecord(record.offset, (), rejected.reason, reply)
        else:
            log.warning("rejected", **event, detail=rejected.detail, exc_info=rejected.__cause__)
        topic = self.dead_letters_topic
        dead_letter = encode_dead_letter(
            with_context(record, trace), rejected, topic, requires_key=topic in self.compacted
        )
        dead_letter = self.limits.fit(record, dead_letter, rejected.reason)
        error_reply = self.replies.error_reply(record, rejected, reply, new_context(trace))
        outputs = (dead_letter, *error_reply)
        return ProcessedRecord(record.offset, outputs, rejected.reason, reply)
