"""Consumer, producer and lanes, from opening to closing. A session outlives rebalances and
brokers that come back; what it cannot outlive ends it, and the pipeline opens the next one,
which begins at the committed offsets.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from worker.kafka.consumer import GroupConsumer
from worker.kafka.errors import format_error
from worker.observability import metrics
from worker.observability.health import Health
from worker.observability.record_trace import TraceDispatcher
from worker.settings import Settings
from worker.streaming.assignment import Assignment
from worker.streaming.backpressure import InFlightLimiter
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.delivery.factory import create_delivery
from worker.streaming.delivery.offset_committer import OffsetCommitter
from worker.streaming.partition import PartitionContext
from worker.streaming.processor import Engine, RecordProcessor
from worker.streaming.watchdog import Watchdog

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0
"""For producer and consumer each: with the brokers away they could wait for ever."""


class KafkaSession:
    """`open`, then `run`, then `close`; once each, `close` also after an error."""

    def __init__(
        self,
        settings: Settings,
        limits: Mapping[str, int],
        reader: Engine,
        health: Health,
        breaker: DeadLetterLimit,
        decoders: Executor,
        journeys: TraceDispatcher,
    ) -> None:
        """`limits` is topic to `max.message.bytes`; `decoders` runs what the loop must not."""
        qa = settings.qa
        self._qa = qa
        self._health = health
        self._intake = GroupConsumer(settings)
        self._delivery = way = create_delivery(settings, limits, self._intake)
        self._in_flight = InFlightLimiter(
            max_bytes=qa.max_in_flight_bytes,
            max_tokens=qa.max_in_flight_tokens,
            tokens=lambda: reader.pending_tokens,
        )
        interval = qa.commit_interval_ms / 1000
        # Where to deliver is to commit, nobody else may.
        self._committer = (
            None
            if way.commits
            else OffsetCommitter(self._intake, lambda: self._assignment.lanes, interval=interval)
        )
        shared = PartitionContext(
            settler=RecordProcessor(
                reader=reader,
                decoders=decoders,
                answers_topic=qa.answers_topic,
                dead_letters_topic=qa.dead_letters_topic,
                max_record_bytes=qa.max_record_bytes,
                limits=limits,
            ),
            in_flight=self._in_flight,
            health=health,
            breaker=breaker,
            journeys=journeys,
            interval=0.0 if self._committer else interval,
            bundle=qa.commit_records,
            commit_soon=self._committer.soon if self._committer else None,
        )
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._assignment = Assignment(settings, way, shared, self._committer, self._broken)
        self._watchdog = Watchdog(
            qa,
            self._intake,
            self._in_flight,
            health,
            lambda: {tp: lane.ledger for tp, lane in self._assignment.lanes.items()},
        )
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._parts: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and join the group. Raises `KafkaError`."""
        await self._delivery.start()
        await self._intake.start(self._assignment)
        self._health.contacted()
        metrics.SESSIONS.labels("opened").inc()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is in flight and commit it.

        Raises what broke the session.
        """
        stopped = self._start(_wait_for(stop))
        self._watching = self._start(self._watchdog.watch())
        parts = self._parts
        parts += [self._start(self._take_records()), self._watching]
        if self._committer is not None:
            parts.append(self._start(self._committer.run()))
        await asyncio.wait([stopped, self._broken, *parts], return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()
        if self._broken.done():
            self._broken.result()
        self._stop_taking()
        log.info("draining", records=self._in_flight.records)
        await self._assignment.finish()

    async def close(self) -> None:
        """Commit what is done, leave the group, let go of everything. Raises nothing.

        Also a session that broke commits: what was published need not be published again.
        """
        self._stop_taking()
        if self._committer is None:
            # What is asked for a lane while the connections are closed would open new ones.
            await asyncio.gather(*(lane.ended() for lane in self._assignment.drop()))
            await _attempt("delivery", self._delivery.stop(seconds=CLOSE_SECONDS))
        else:
            self._committer.cancel()
            # The producer waits for what it has sent, which then is committed, too.
            await _attempt("delivery", self._delivery.stop(seconds=CLOSE_SECONDS))
            await _attempt("commit", self._committer.commit(self._assignment.lanes))
            self._assignment.drop()
        if self._watching is not None:
            # What it asks while the consumer's connections are closed would open new ones.
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await _attempt("consumer", self._intake.stop(seconds=CLOSE_SECONDS))
        # Only now that the consumer is closed may its poll be cancelled.
        for task in self._tasks:
            task.cancel()
        # Somebody has looked at them: asyncio would complain of errors that nobody saw, where what
        # broke one part breaks the next a moment later.
        await asyncio.gather(*self._tasks, *self._parts, return_exceptions=True)
        if not self._broken.cancel():
            self._broken.exception()

    def _stop_taking(self) -> None:
        self._stopping = True
        self._assignment.end()

    # The parts that run side by side.

    async def _take_records(self) -> None:
        while not self._stopping:
            await self._in_flight.room()
            try:
                records = await self._intake.poll()
            except ConsumerStoppedError:
                if self._stopping:
                    return
                raise
            # No await up to here since the poll returned: these lanes are of the assignment
            # under which the records were fetched. A lane closed later refuses them itself; of a
            # session that is closing there are none any more.
            lanes = self._assignment.lanes
            taken = [
                (record, lanes[partition])
                for record in records
                if (partition := TopicPartition(record.topic, record.partition)) in lanes
            ]
            # The consumer's position is behind all of them already. A lane that is told it while
            # they wait for room would refuse them as read before, and commit behind them.
            for record, lane in taken:
                lane.ledger.begin(record.offset)
            for record, lane in taken:
                await self._in_flight.room(record.size)
                if not self._stopping:
                    lane.take(record)
            if not records:
                await self._look_at_positions()
            # With records at hand and room for them nothing above waits. What was taken must come
            # to the reader, which counts it, before more is taken; and heartbeats need the loop.
            await asyncio.sleep(0)

    async def _look_at_positions(self) -> None:
        """After a poll without records: what is behind the last one is none (markers of the
        producers' transactions, say), and is not to count as lag.
        """
        for partition, lane in list(self._assignment.lanes.items()):
            if lane.ledger.safe is None or lane.ledger.in_flight:
                continue
            try:
                position = await self._intake.position(partition)
            except KafkaError as error:
                log.debug(
                    "position_unknown", partition=partition.partition, error=format_error(error)
                )
                continue
            lane.reached(position)

    def _start(self, part: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(part)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _attempt(part: str, closing: Coroutine[Any, Any, None]) -> None:
    """Whatever a part says, closing goes on with the next."""
    try:
        await closing
    except Exception as error:
        log.warning("close_failed", part=part, error=format_error(error))


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
