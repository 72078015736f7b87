"""From a record to what is published for it: an outcome, or a dead letter that says why not.

Knows the reader and what the topics take; in which order and when that is published is the lane's.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

import structlog

from schemas.event import Event, Outcome
from schemas.rejection import Reason, Rejected
from worker.inference.result import R, ReadResult
from worker.kafka.records import InputRecord, OutputRecord
from worker.observability import metrics
from worker.observability.record_trace import RecordTrace
from worker.streaming.codec import (
    decode_record,
    drop_value,
    encode_dead_letter,
    encode_outcome_record,
)

log = structlog.get_logger(__name__)

INLINE_BYTES = 64 * 1024
"""JSON up to this size is handled on the event loop, in well under a millisecond; what is larger
goes to a thread, since a loop that stands still sends no heartbeats."""

_NAMED_FIELDS = 20
"""How many unknown fields of an event are named; a record may have a hundred thousand."""

_DECODE = metrics.STAGE.labels("decode")

P = ParamSpec("P")
T = TypeVar("T")


class Engine(Protocol):
    """What streaming needs of a reader."""

    @property
    def pending_tokens(self) -> int: ...

    @property
    def event_type(self) -> type[Event[Outcome]]:
        """What it reads."""

    @property
    def tokens_per_second(self) -> float:
        """Measured rate at which `pending_tokens` falls while all threads are busy."""

    on_progress: Callable[[], None] | None
    """Called, on any thread, after `pending_tokens` has fallen."""

    def submit(self, event: Event[R], /) -> "Future[ReadResult[R]]": ...


@dataclass(frozen=True, slots=True)
class ProcessedRecord:
    """What is published for a record; `reason` if that is a dead letter."""

    outgoing: OutputRecord
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class RecordProcessor:
    """One for a session."""

    reader: Engine
    decoders: Executor
    answers_topic: str
    dead_letters_topic: str
    max_record_bytes: int
    limits: Mapping[str, int]
    """Topic to `max.message.bytes`."""

    async def settle(
        self, record: InputRecord, journey: RecordTrace | None = None
    ) -> ProcessedRecord:
        """What to publish. Raises what is no fault of the record's."""
        name = record.default_id
        began, began_at = time.perf_counter(), time.time_ns()
        try:
            envelope = await self._off_loop(
                record,
                decode_record,
                self.reader.event_type,
                record,
                max_bytes=self.max_record_bytes,
            )
            _DECODE.observe(time.perf_counter() - began)
            name = envelope.event.id or name
            if journey is not None:
                journey.id = name
                journey.add_stage("decode", began_at)
            if envelope.ignored:
                fields = envelope.ignored[:_NAMED_FIELDS]
                log.debug("unknown_fields", **_position(record), id=name, fields=fields)
            result = await asyncio.wrap_future(self.reader.submit(envelope.event))
            outcome = result.outcome
            if journey is not None:
                journey.add_timings(result.timings)
            outgoing = await self._off_loop(
                record,
                encode_outcome_record,
                record,
                envelope,
                outcome,
                self.answers_topic,
                context=None if journey is None else journey.propagated,
            )
            if self._fits(outgoing):
                log.debug("answered", **_position(record), id=name, type=outcome.TYPE)
                return ProcessedRecord(outgoing, None)
            raise Rejected(
                Reason.ANSWER_TOO_LARGE,
                f"the outcome takes {outgoing.size} bytes, more than {outgoing.topic} allows",
            )
        except Rejected as rejected:
            if journey is not None and not journey.stages:
                journey.id = name
                journey.add_stage("decode", began_at)
            return self._reject(record, name, rejected)

    async def _off_loop(
        self, record: InputRecord, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `step` where a record of this size belongs."""
        if record.size <= INLINE_BYTES:
            return step(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.decoders, partial(step, *args, **kwargs))

    def _reject(self, record: InputRecord, name: str, rejected: Rejected) -> ProcessedRecord:
        event = {**_position(record), "id": name, "reason": str(rejected.reason)}
        log.warning("rejected", **event, detail=rejected.detail, exc_info=rejected.__cause__)
        letter = encode_dead_letter(record, rejected, self.dead_letters_topic)
        if not self._fits(letter):
            log.error("dead_letter_value_dropped", **event, bytes=record.size)
            letter = drop_value(letter)
        return ProcessedRecord(letter, rejected.reason)

    def _fits(self, outgoing: OutputRecord) -> bool:
        """Whether its topic takes a record of this size."""
        return outgoing.size <= self.limits[outgoing.topic]


def _position(record: InputRecord) -> dict[str, str | int]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
