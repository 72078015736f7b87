"""One assigned partition, from assignment to revocation: records in, outcomes out in their order.

Events are read side by side and finish in any order; a lane publishes what became of them in
the order of their offsets. It belongs to one assignment: once closed, whatever still comes in
for it is stale and counts for nothing.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from schemas.rejection import Reason, is_replay
from worker.kafka.errors import StreamingError
from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.record_trace import ANSWERED, DROPPED, RecordTrace, TraceDispatcher
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.delivery.base import PartitionDelivery
from worker.streaming.offset_tracker import OffsetTracker
from worker.streaming.processor import ProcessedRecord, RecordProcessor

MAX_BATCH_BYTES = 1024 * 1024
"""Of records that are delivered together, or one. 16 requests of 64 KiB end well within a
transaction's time on any network; what is aborted for taking too long would be tried again."""

_PUBLISH = metrics.STAGE.labels("publish")
_TOTAL = metrics.STAGE.labels("total")
_REJECTIONS = {reason: metrics.REJECTIONS.labels(str(reason)) for reason in Reason}


@dataclass(frozen=True, slots=True)
class PartitionContext:
    """What the lanes of a session use together."""

    settler: RecordProcessor
    in_flight: InFlightLimiter
    health: Health
    breaker: DeadLetterLimit
    journeys: TraceDispatcher
    interval: float
    """Seconds from one delivery to the next; without a delivery before it, one starts at once."""
    bundle: int
    """Records that are delivered without waiting for that, and at most at a time."""
    commit_soon: Callable[[], None] | None
    """Called where a bundle's worth of records waits for its commit; `None`: to deliver is to
    commit."""


@dataclass(frozen=True, slots=True)
class InFlightRecord:
    """A record in flight."""

    record: InputRecord
    outcome: "asyncio.Task[ProcessedRecord]"
    taken: float
    journey: RecordTrace | None


class PartitionProcessor:
    """In order out of one partition. Everything here happens on the event loop."""

    def __init__(
        self,
        topic: str,
        partition: int,
        way: PartitionDelivery,
        shared: PartitionContext,
        *,
        failed: Callable[["PartitionProcessor", BaseException], None],
        after: float,
        rebuilt: int,
    ) -> None:
        """Begins after so many seconds. `failed` is called once, where that or a delivery fails."""
        self.ledger = OffsetTracker()
        self.committed: int | None = None
        """What the group has for this partition, as far as this lane knows."""
        self.uncommitted = 0
        """Records delivered since the last commit."""
        self._uncommitted: deque[tuple[RecordTrace, str]] = deque()  # with what became of them
        self.delivered = False
        """Whether it has brought anything to the brokers."""
        self.rebuilt = rebuilt
        """Lanes in a row before this one that had not."""
        self._way = way
        self._shared = shared
        self._failed = failed
        self._records = metrics.RECORDS.labels(topic, str(partition))
        self._answers = metrics.ANSWERS.labels(topic, str(partition))
        self._unsettled: deque[InFlightRecord] = deque()  # the first of them is not settled
        self._settled: deque[InFlightRecord] = deque()  # before all that are not
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = self._closed = False
        self._publisher = asyncio.create_task(self._publish(after))
        self._publisher.add_done_callback(self._stopped)

    def take(self, record: InputRecord) -> None:
        """`record` is in flight from now on; what becomes of it is published in its turn.

        Raises `StreamingError` where the partition has gone back behind what was read.
        """
        if not self.ledger.take(record.offset):
            if self._closed:
                return
            raise StreamingError(
                f"{record.topic} partition {record.partition} goes on at offset {record.offset}, "
                f"but the group has read up to {self.ledger.safe}: the topic was cut off or made "
                f"anew; put the group's offsets where reading is to begin (kafka-consumer-groups "
                f"--reset-offsets)"
            )
        self._records.inc()
        self._shared.in_flight.enter(record.size)
        self._idle.clear()
        journey = self._shared.journeys.start(
            record.topic, record.partition, record.offset, record.headers
        )
        settling = asyncio.create_task(self._shared.settler.settle(record, journey))
        entry = InFlightRecord(record, settling, time.perf_counter(), journey)
        self._unsettled.append(entry)
        entry.outcome.add_done_callback(self._advance)

    def reached(self, position: int) -> None:
        """All that lies before `position` was taken."""
        self.ledger.advance(position)
        self._changed.set()

    def was_committed(self, offset: int, count: int) -> None:
        """The group has `offset` now, and with it `count` of the records that were delivered."""
        self.committed = offset
        self.uncommitted -= count
        while self._uncommitted and self._uncommitted[0][0].offset < offset:
            journey, outcome = self._uncommitted.popleft()
            if self._shared.commit_soon is not None:
                journey.add_stage("commit", journey.stages[-1].ended)  # since it was published
            self._shared.journeys.end(journey, outcome)

    async def drain(self) -> None:
        """Wait until nothing is in flight; what is settled waits for nothing more."""
        self._draining = True
        self._changed.set()
        await self._idle.wait()

    def close(self) -> None:
        """The partition is no longer ours: drop what is in flight, whoever owns it reads it again.

        Reading stops too: cancelling reaches the reader's futures.
        """
        self._closed = True
        self.ledger.close()
        self._publisher.cancel()
        for entry in (*self._settled, *self._unsettled):
            if not entry.outcome.cancel() and not entry.outcome.cancelled():
                entry.outcome.exception()  # or asyncio would complain that nobody looked at it
            self._shared.in_flight.leave(entry.record.size)
            if entry.journey is not None:
                self._shared.journeys.end(entry.journey, DROPPED)
            metrics.DROPPED.inc()
        for journey, _ in self._uncommitted:
            self._shared.journeys.end(journey, DROPPED)
        self._uncommitted.clear()
        self._settled.clear()
        self._unsettled.clear()
        self._idle.set()

    async def ended(self) -> None:
        """Wait until nothing of it uses the connections any more. Only after `close`."""
        await asyncio.wait([self._publisher])

    # Publishing, in order.

    def _advance(self, _: "asyncio.Task[ProcessedRecord]") -> None:
        while self._unsettled and self._unsettled[0].outcome.done():
            self._settled.append(self._unsettled.popleft())
        self._changed.set()

    async def _publish(self, after: float) -> None:
        await asyncio.sleep(after)
        beginning = await self._way.begin()
        if beginning is not None:
            self.committed = beginning.committed
            self.ledger.begin(beginning.position)
        began = float("-inf")
        while True:
            await self._due(began + self._shared.interval)
            began = time.monotonic()
            await self._deliver()

    async def _due(self, at: float) -> None:
        """Wait until there is something to deliver, and it is time."""
        while True:
            self._changed.clear()
            settled, rest = len(self._settled), at - time.monotonic()
            last = self._draining and not self._unsettled
            if settled and (rest <= 0 or settled >= self._shared.bundle or last):
                return
            if self._moved and rest <= 0:
                return
            waiting = settled or self._moved
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), rest if waiting else None)

    @property
    def _moved(self) -> bool:
        """Whether the position has to be committed though nothing is in flight."""
        if self._shared.commit_soon is not None or self.ledger.in_flight:
            return False
        return self.ledger.safe is not None and self.ledger.safe != self.committed

    async def _deliver(self) -> None:
        entries, tripped = self._next()
        if tripped is not None and not entries:
            raise tripped
        outgoing = [entry.outcome.result().outgoing for entry in entries]
        offset = entries[-1].record.offset + 1 if entries else self.ledger.safe
        assert offset is not None  # there would be nothing to deliver
        began, began_at = time.perf_counter(), time.time_ns()
        async for count in self._way.deliver(outgoing, offset):
            for _ in range(count):
                self._delivered(self._settled.popleft(), began, began_at)
        if self._shared.commit_soon is None:
            self.was_committed(offset, self.uncommitted)
            metrics.COMMITS.labels("done").inc()
        elif self.uncommitted >= self._shared.bundle:
            self._shared.commit_soon()
        self.delivered = True
        self._shared.health.progressed()
        if not self.ledger.in_flight:
            self._idle.set()
        if tripped is not None:
            raise tripped

    def _delivered(self, entry: InFlightRecord, began: float, began_at: int) -> None:
        self.ledger.finish(entry.record.offset)
        self.uncommitted += 1
        self._shared.in_flight.leave(entry.record.size)
        reason = entry.outcome.result().reason
        if reason is None:
            self._answers.inc()
        else:
            _REJECTIONS[reason].inc()
        now = time.perf_counter()
        _PUBLISH.observe(now - began)
        _TOTAL.observe(now - entry.taken)
        if entry.record.produced_ms is not None:
            # Another machine's clock, which may be ahead of ours.
            metrics.DELAY.observe(max(0.0, time.time() - entry.record.produced_ms / 1000))
        if entry.journey is not None:
            entry.journey.add_stage("publish", began_at)
            self._uncommitted.append((entry.journey, str(reason) if reason else ANSWERED))

    def _next(self) -> tuple[list[InFlightRecord], StreamingError | None]:
        """What is delivered next: a bundle at most, and only what lies before the record that
        trips the circuit breaker, which so is neither published nor committed.
        """
        entries: list[InFlightRecord] = []
        size = 0
        for entry in islice(self._settled, self._shared.bundle):
            size += entry.record.size
            if entries and size > MAX_BATCH_BYTES:
                break
            # A question that was sent again from the dead letters and fails again goes back to
            # where it was: that says nothing about the topic.
            if not is_replay(entry.record.headers):
                try:
                    self._shared.breaker.count(entry.outcome.result().reason)
                except StreamingError as tripped:
                    return entries, tripped
            entries.append(entry)
        return entries, None

    def _stopped(self, publisher: "asyncio.Task[None]") -> None:
        if self._closed:
            return
        if publisher.cancelled():
            self._failed(self, RuntimeError("the reader gave up on a record"))
        elif (error := publisher.exception()) is not None:
            self._failed(self, error)
