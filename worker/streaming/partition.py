"""One assigned partition: records in, outcomes out in the order of their offsets.

Records are processed side by side and complete in any order. The partition delivers their outcomes
in order and completes them in the tracker. It belongs to one assignment: once closed, it adds,
delivers and completes nothing.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

from aiokafka import TopicPartition

from worker.kafka.errors import StreamingError
from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.observability.record_trace import (
    ANSWERED,
    DROPPED,
    OUT_OF_SAMPLE,
    UNSURE,
)
from worker.streaming.dead_letter_limit import counts
from worker.streaming.delivery.base import (
    DeliveredRecord,
    NotDeliveredError,
    ProcessedRecord,
    Refusals,
    Tracker,
)
from worker.streaming.in_flight_record import InFlightRecord
from worker.streaming.offset_tracker import OffsetTracker
from worker.streaming.outcome_metrics import count_outcome, observe_latency
from worker.streaming.partition_context import PartitionContext
from worker.streaming.schema_waits import SchemaWaits
from worker.streaming.sends import add_sends
from worker.streaming.unsure import Verdict


class PartitionProcessor:
    """In-order delivery of one partition. Everything here runs on the event loop."""

    def __init__(self, partition: TopicPartition, context: PartitionContext) -> None:
        self.tracker: Tracker = OffsetTracker()
        self.made_progress = False
        """Whether a delivery has succeeded."""
        self.in_flight_bytes = 0
        self._context = context
        self._delivery = context.delivery.open(partition, self.tracker)
        labels = partition.topic, str(partition.partition)
        self._records = metrics.CONSUMED_RECORDS.labels(*labels)
        self._answers = metrics.ANSWERS.labels(*labels)
        self._latency = metrics.END_TO_END_LATENCY.labels(partition.topic)
        metrics.EXPIRED_OFFSETS.labels(*labels)  # from 0 on, see metrics.py
        self._processing: deque[InFlightRecord] = deque()  # the first of them is not done
        self._processed: deque[InFlightRecord] = deque()  # lie before those; to be delivered
        self._replaced: dict[int, ProcessedRecord] = {}
        """Offset to what is delivered in the place of a record with an output that was refused."""
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = self._closed = False
        self._discarded = 0
        self._waits = SchemaWaits(partition, context.limiter, self._discard_waiting)
        self._delivering: tuple[Sequence[ProcessedRecord], int] = (), 0
        """The batch that is being delivered, and the start of its delivery (`time.time_ns`)."""

    async def run(self) -> None:
        """Deliver what is processed until cancelled. Raises what a delivery raises.

        Before the first delivery it asks where the consumer starts.
        """
        offsets = await self._delivery.start()
        if offsets is not None:
            self.tracker.start(offsets)
        started = float("-inf")
        while True:
            await self._wait_until_due(started + self._delivery.min_interval)
            started = time.monotonic()
            await self._deliver_batch()

    def add(self, record: InputRecord) -> None:
        """`record` is in flight.

        Raises `StreamingError` if it lies before the group's offset: the topic was truncated or
        recreated.
        """
        if not self.tracker.add(record.offset):
            if self._closed:
                return
            raise StreamingError(
                f"{record.topic} partition {record.partition} continues at offset {record.offset}, "
                f"but the group has read up to {self.tracker.position}: the topic was truncated or "
                f"recreated; set the group's offsets to where reading is to start "
                f"(kafka-consumer-groups --reset-offsets)"
            )
        context = self._context
        self._records.inc()
        context.limiter.acquire(record.size)
        self.in_flight_bytes += record.size
        self._idle.clear()
        trace = context.traces.start(record)
        processing = asyncio.create_task(context.processor.process(record, trace, self._waits))
        self._processing.append(InFlightRecord(record, processing, time.perf_counter(), trace))
        processing.add_done_callback(self._collect_processed)

    def advance_to(self, position: int) -> None:
        """Every record before `position` was added."""
        self.tracker.advance(position)
        self._changed.set()

    @property
    def in_flight_records(self) -> int:
        return len(self._processing) + len(self._processed)

    @property
    def waits_for_schema(self) -> bool:
        """Whether a record waits for the schema registry."""
        return bool(self._waits)

    @property
    def admits(self) -> bool:
        """Whether records may be added: few behind one that waits for the schema registry."""
        return not self._waits or self._waits.admits(self.in_flight_records, self.in_flight_bytes)

    async def drain(self) -> None:
        """Wait until nothing is in flight. The last batch does not wait for the interval, and a
        record that waits for the schema registry is discarded, with those behind it.
        """
        self._draining = True
        self._discard_waiting()
        self._changed.set()
        await self._idle.wait()

    def close(self) -> int:
        """Discard what is in flight: the partition's next owner processes it again. Returns the
        number of records.

        Cancels the processing, which reaches the engine. The caller cancels `run`.
        """
        if self._closed:
            return 0
        self._closed = True
        traces = self._context.traces
        self._trace_failure(asyncio.CancelledError())
        for each in (*self._processed, *self._processing):
            self._discard(each)
        for delivered in self.tracker.close():
            if delivered.trace is not None:
                traces.end(delivered.trace, DROPPED)
        self._processed.clear()
        self._processing.clear()
        self._replaced.clear()
        self._idle.set()
        return self._discarded

    def _discard_waiting(self) -> None:
        """In a drain: the next owner reads the first record that waits for the schema registry, and
        those behind it, again.
        """
        first = self._waits.first
        if not self._draining or first is None:
            return
        while self._processing and self._processing[-1].record.offset >= first:
            self._discard(self._processing.pop())
        if not self.in_flight_records:
            self._idle.set()
        self._changed.set()

    def _discard(self, each: InFlightRecord) -> None:
        each.cancel()
        if not self._waits.discard(each.record):
            self._context.limiter.release(each.record.size)
        self.in_flight_bytes -= each.record.size
        if each.trace is not None:
            self._context.traces.end(each.trace, DROPPED)
        metrics.DISCARDED_RECORDS.inc()
        self._discarded += 1

    def _collect_processed(self, _: "asyncio.Task[ProcessedRecord]") -> None:
        while self._processing and self._processing[0].processing.done():
            self._processed.append(self._processing.popleft())
        self._changed.set()

    async def _wait_until_due(self, earliest: float) -> None:
        """Wait until there is something to deliver, and it is time."""
        while True:
            self._changed.clear()
            count, rest = len(self._processed), earliest - time.monotonic()
            last = self._draining and not self._processing
            if count and (rest <= 0 or count >= self._context.batch_records or last):
                return
            idle_commit = self._idle_position_needs_commit
            if idle_commit and rest <= 0:
                return
            waits_for_time = count or idle_commit
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), rest if waits_for_time else None)

    @property
    def _idle_position_needs_commit(self) -> bool:
        return (
            self._delivery.commits_idle_position
            and not self.tracker.in_flight
            and self.tracker.needs_commit
        )

    async def _deliver_batch(self) -> None:
        batch, limit_exceeded = self._take_batch()
        if batch or limit_exceeded is None:
            started, started_ns = time.perf_counter(), time.time_ns()
            self._delivering = batch, started_ns
            try:
                async for processed in self._delivery.deliver(batch):
                    self._complete(processed, started, started_ns)
            except NotDeliveredError as error:
                # Before the dead-letter limit's error: the batch is taken again.
                self._replace(error.refused, started_ns)
                return
            except Exception as error:
                self._trace_failure(error)
                raise
            finally:
                self._delivering = (), 0
            self.made_progress = True
            self._context.health.record_completed()
            if not self.in_flight_records:
                self._idle.set()
        if limit_exceeded is not None:
            raise limit_exceeded

    def _trace_failure(self, error: BaseException) -> None:
        """The delivery of a batch fails, or is cancelled; what was acknowledged was sent."""
        batch, started_ns = self._delivering
        undelivered = {each.record.offset: each.trace for each in self._processed}
        for processed in batch:
            add_sends(undelivered.get(processed.offset), processed, started_ns, failed=error)

    def _replace(self, refused: Mapping[int, Refusals], started_ns: int) -> None:
        """The topics refuse outputs of the records at these offsets. Raises `StreamingError` if
        nothing can be delivered in the place of one.
        """
        for each in self._processed:
            if (why := refused.get(each.record.offset)) is not None:
                processed = self._result(each)
                add_sends(each.trace, processed, started_ns, refused=why)
                self._replaced[each.record.offset] = self._context.processor.replace_refused(
                    each.record, processed, why, each.trace
                )

    def _result(self, each: InFlightRecord) -> ProcessedRecord:
        return self._replaced.get(each.record.offset) or each.processing.result()

    def _take_batch(self) -> tuple[list[ProcessedRecord], StreamingError | None]:
        """What is delivered next, and the error that follows, if a rejection exceeds the
        dead-letter limit. That record is neither delivered nor committed.
        """
        batch: list[ProcessedRecord] = []
        size = 0
        for each in islice(self._processed, self._context.batch_records):
            processed = self._result(each)
            size += processed.size
            if batch and size > self._delivery.max_bytes:
                break
            batch.append(processed)
        pairs = zip(self._processed, batch, strict=False)
        counted = [n for n, (each, done) in enumerate(pairs) if counts(each.record, done)]
        allowed, error = self._context.dead_letter_limit.check([batch[n].reason for n in counted])
        return (batch[: counted[allowed]] if error else batch), error

    def _complete(self, processed: ProcessedRecord, started: float, started_ns: int) -> None:
        """The brokers acknowledged the outcome of the first processed record."""
        each = self._processed.popleft()
        self._replaced.pop(processed.offset, None)
        reason = processed.reason
        if each.trace is not None:
            each.trace.expired = processed.expired or ""
            if processed.outputs:
                each.trace.add_stage("publish", started_ns)
            add_sends(each.trace, processed, started_ns)
        is_unsure = processed.verdict is Verdict.UNSURE
        outcome = str(reason) if reason else UNSURE if is_unsure else ANSWERED
        if processed.out_of_sample:
            outcome = OUT_OF_SAMPLE
            metrics.OUT_OF_SAMPLE.inc()
        self.tracker.complete(processed.offset, DeliveredRecord(each.trace, outcome))
        self._context.limiter.release(each.record.size)
        self.in_flight_bytes -= each.record.size
        if counts(each.record, processed):
            self._context.dead_letter_limit.count(reason)
        count_outcome(processed, self._answers)
        if processed.outputs:
            observe_latency(each.record, self._latency, added=each.added, published=started)
