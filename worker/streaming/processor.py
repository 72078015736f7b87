"""From an input record to the records that are published for it: an answer, or a dead letter.

Runs the record through the engine and applies the topics' size limits. Ordering and delivery are
PartitionProcessor's job.
"""

import asyncio
import sys
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

import structlog

from schemas.answer import Answer
from schemas.envelope import Envelope
from schemas.event import Event, Outcome
from schemas.rejection import Reason, Rejected
from schemas.value_format import JSON, ValueFormat
from worker.inference.cache.answer_cache import AnswerCache
from worker.inference.result import R, ReadResult
from worker.kafka.records import InputRecord, OutputRecord
from worker.observability.record_trace import RecordTrace
from worker.streaming.backpressure import EngineLoad
from worker.streaming.codec import (
    decode_record,
    encode_dead_letter,
    encode_outcome_record,
)
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.delivery.base import ProcessedRecord, Refusals
from worker.streaming.output_limits import OutputLimits
from worker.streaming.record_progress import RecordProgress
from worker.streaming.replies import (
    Reply,
    ReplyRouter,
    log_dropped,
    rejection_for,
    reply_after,
)
from worker.streaming.sample import Sample
from worker.streaming.schema_waits import SchemaWait, SchemaWaits, ValueReader
from worker.streaming.trace_context import new_context, with_context, with_new_context
from worker.streaming.unsure import UnsureQuestions, Verdict, encode_unsure_question

log = structlog.get_logger(__name__)

INLINE_BYTES = 64 * 1024
"""JSON up to this size is decoded and encoded on the event loop, in well under a millisecond.
Larger JSON goes to a thread: a blocked loop sends no heartbeats."""

FORMAT_COST = 16
"""Metadata in Avro and Protobuf take up to this many times as long as in JSON, per byte of JSON."""

_NAMED_FIELDS = 20
"""How many unknown fields of an event are logged; a record may have a hundred thousand."""

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
        progress = RecordProgress(record, trace)
        try:
            return await self._answer(progress, waits)
        except Rejected as rejected:
            progress.rejected()
            if not self.sample.contains_unread(record, progress.name):
                return self.sample.leave_out(record, progress.name)
            return self._reject(record, progress.name, rejected, progress.reply, trace)

    async def _answer(self, progress: RecordProgress, waits: SchemaWaits | None) -> ProcessedRecord:
        """Raises `Rejected`."""
        record, trace = progress.record, progress.trace
        progress.found_reply(await self.replies.find(record))
        envelope, cache_key, size = await self._read(progress, waits)
        name = progress.name
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
            outputs = await self._encode(progress, envelope, result.outcome, size)
        for output in outputs:
            if not self.limits.allow(output, progress.reply):
                raise Rejected(
                    Reason.ANSWER_TOO_LARGE,
                    f"the outcome takes {output.size} bytes, more than {output.topic} allows",
                )
        return ProcessedRecord(
            record.offset, outputs, None, progress.reply, verdict, answered_late=is_late
        )

    async def _read(
        self, progress: RecordProgress, waits: SchemaWaits | None
    ) -> tuple[Envelope[Event[Outcome]], bytes | None, int]:
        """The record's event, its key in the cache, if there is one, and the bytes of the record
        with its value as JSON. Raises `Rejected`.
        """
        record, max_bytes = progress.record, self.max_record_bytes
        readable = record
        if self.values is not None and len(record.value or b"") <= max_bytes:
            wait = SchemaWait(record, waits)
            try:
                readable = await self.values.read(record, wait)
            finally:
                progress.waited(wait)
            if readable is not record:
                max_bytes = sys.maxsize  # of the record's own value
        size = readable.size
        envelope, cache_key = await self._run_sized(size, self._decode, readable, max_bytes)
        progress.decoded(envelope.event.id)
        return envelope, cache_key, size

    async def _encode(
        self,
        progress: RecordProgress,
        envelope: Envelope[Event[Outcome]],
        outcome: Outcome,
        size: int,
    ) -> tuple[OutputRecord, ...]:
        """The outcome's records for the answers topic and for its reply. Raises `Rejected`."""
        record, trace = progress.record, progress.trace
        if self.answer_format is not JSON:
            size = max(size, FORMAT_COST * len(envelope.packed_metadata or b""))
        output = await self._run_sized(
            size,
            encode_outcome_record,
            record,
            envelope,
            outcome,
            self.answers_topic,
            context=new_context(trace),
            requires_key=self.answers_topic in self.compacted,
            value_format=self.answer_format,
        )
        first, *others = self.replies.outputs(record, output, progress.reply)
        log.debug("answered", **record.place, id=progress.name, type=outcome.TYPE)
        return first, *(with_new_context(other, trace) for other in others)

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
        self, size: int, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `step` inline for a size up to INLINE_BYTES, otherwise in the decoding thread."""
        if size <= INLINE_BYTES:
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
