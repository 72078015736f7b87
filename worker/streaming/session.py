"""Consumer, producer and lanes, from opening to closing. A session outlives rebalances and
brokers that come back; what it cannot outlive ends it, and the pipeline opens the next one,
which begins at the committed offsets.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    UnknownError,
)

from worker.observing import metrics
from worker.observing.health import Health
from worker.observing.journeys import Journeys
from worker.settings import Settings
from worker.streaming.breaker import Breaker
from worker.streaming.committer import Committer, Lanes
from worker.streaming.delivery import delivery
from worker.streaming.errors import Verdict, in_a_line, verdict
from worker.streaming.inflight import InFlight
from worker.streaming.intake import Intake
from worker.streaming.lane import Lane, Shared
from worker.streaming.settling import Reading, Settler
from worker.streaming.watchdog import Watchdog

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0
"""For producer and consumer each: with the brokers away they could wait for ever."""

SESSION_ERRORS = (KafkaError, OSError, TimeoutError)
"""What another session, or another fence, may cure; anything else is a bug and ends the worker."""

REBUILDS = 3
"""Fences in a row that bring nothing to the brokers, before the whole session is opened anew."""


class Session:
    """`open`, then `run`, then `close`; once each, `close` also after an error."""

    def __init__(
        self,
        settings: Settings,
        limits: Mapping[str, int],
        reader: Reading,
        health: Health,
        breaker: Breaker,
        decoders: Executor,
        journeys: Journeys,
    ) -> None:
        """`limits` is topic to `max.message.bytes`; `decoders` runs what the loop must not."""
        qa = settings.qa
        self._qa = qa
        self._health = health
        self._intake = Intake(
            settings.kafka, qa.questions_topic, assigned=self._assign, revoked=self._revoke
        )
        self._delivery = delivery(settings, limits, self._intake)
        # A zombie learns with a heartbeat that it is one; until then it must not take the fence
        # back from whoever has its partitions now.
        self._after_fenced = 1.5 * settings.kafka.heartbeat_interval_ms / 1000
        self._in_flight = InFlight(
            max_bytes=qa.max_in_flight_bytes,
            max_tokens=qa.max_in_flight_tokens,
            tokens=lambda: reader.pending_tokens,
        )
        interval = qa.commit_interval_ms / 1000
        # Where to deliver is to commit, nobody else may.
        self._committer = (
            None
            if self._delivery.commits
            else Committer(self._intake, lambda: self._lanes, interval=interval)
        )
        self._shared = Shared(
            settler=Settler(
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
        self._lanes: Lanes = {}
        self._watchdog = Watchdog(
            qa,
            self._intake,
            self._in_flight,
            health,
            lambda: {partition: lane.ledger for partition, lane in self._lanes.items()},
        )
        self._stopping = False
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._finishing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect and join the group. Raises `KafkaError`."""
        await self._delivery.start()
        await self._intake.start()
        self._health.contacted()
        metrics.SESSIONS.labels("opened").inc()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is in flight and commit it.

        Raises what broke the session.
        """
        stopped = self._start(_wait_for(stop))
        parts = [self._start(self._take_records()), self._start(self._watchdog.watch())]
        if self._committer is not None:
            parts.append(self._start(self._committer.run()))
        await asyncio.wait([stopped, self._broken, *parts], return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()
        if self._broken.done():
            self._broken.result()
        self._stopping = True
        self._health.ready = False
        log.info("draining", records=self._in_flight.records)
        await self._finish(self._lanes)

    async def close(self) -> None:
        """Commit what is done, leave the group, let go of everything. Raises nothing.

        Also a session that broke commits: what was published need not be published again.
        """
        self._stopping = True
        self._health.ready = False
        if self._committer is None:
            # What is asked for a lane while the connections are closed would open new ones.
            lanes = list(self._lanes.values())
            self._drop(self._lanes)
            await asyncio.gather(*(lane.ended() for lane in lanes))
            await _attempt("delivery", self._delivery.stop(seconds=CLOSE_SECONDS))
        else:
            self._committer.cancel()
            # The producer waits for what it has sent, which then is committed, too.
            await _attempt("delivery", self._delivery.stop(seconds=CLOSE_SECONDS))
            await _attempt("commit", self._committer.commit(self._lanes))
            self._drop(self._lanes)
        await _attempt("consumer", self._intake.stop(seconds=CLOSE_SECONDS))
        # Only now that the consumer is closed may its poll be cancelled.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Somebody has looked at it: asyncio would complain of an error that nobody saw.
        if not self._broken.cancel():
            self._broken.exception()

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
            taken = [
                (record, self._lanes[partition])
                for record in records
                if (partition := TopicPartition(record.topic, record.partition)) in self._lanes
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

    # Assignments.

    async def _look_at_positions(self) -> None:
        """After a poll without records: what is behind the last one is none (markers of the
        producers' transactions, say), and is not to count as lag.
        """
        for partition, lane in list(self._lanes.items()):
            if lane.ledger.safe is None or lane.ledger.in_flight:
                continue
            try:
                position = await self._intake.position(partition)
            except KafkaError as error:
                log.debug("position_unknown", partition=partition.partition, error=in_a_line(error))
                continue
            lane.reached(position)

    def _assign(self, partitions: Iterable[TopicPartition]) -> None:
        if self._stopping:
            return  # a rebalance that ends while this member leaves
        for partition in partitions:
            self._open_lane(partition)
        metrics.ASSIGNED.set(len(self._lanes))
        log.info("assigned", partitions=sorted(tp.partition for tp in self._lanes))
        self._health.ready = True

    def _open_lane(
        self, partition: TopicPartition, *, after: float = 0.0, rebuilt: int = 0
    ) -> None:
        self._lanes[partition] = Lane(
            partition.topic,
            partition.partition,
            self._delivery.way(partition),
            self._shared,
            failed=partial(self._lane_failed, partition),
            after=after,
            rebuilt=rebuilt,
        )

    def _lane_failed(self, partition: TopicPartition, lane: Lane, error: BaseException) -> None:
        """In exactly-once delivery a partition begins anew, alone, from its committed offset.

        Where that does not help it, nor at-least-once delivery, the session has to.
        """
        if self._lanes.get(partition) is not lane or self._stopping:
            lane.close()  # it is being given up anyway, and nobody is to wait for it
            return
        rebuilt = 0 if lane.delivered else lane.rebuilt + 1
        cured_by_a_fence = (
            self._delivery.commits
            and isinstance(error, SESSION_ERRORS)
            and verdict(error) is not Verdict.STOP
        )
        if not cured_by_a_fence or rebuilt > REBUILDS:
            self._fail(error)
            return
        metrics.REBUILDS.inc()
        # aiokafka knows no PRODUCER_FENCED (90).
        fenced = isinstance(error, (InvalidProducerEpoch, ProducerFenced, UnknownError))
        after = self._after_fenced if fenced else 0.0
        log.warning(
            "partition_rebuilt",
            partition=partition.partition,
            error=in_a_line(error),
            records=lane.ledger.in_flight,
            after=after,
        )
        lane.close()
        self._open_lane(partition, after=after, rebuilt=rebuilt)

    async def _revoke(self) -> None:
        lanes, self._lanes = self._lanes, {}
        if not lanes:
            return
        log.info("revoked", partitions=sorted(tp.partition for tp in lanes))
        if self._committer is not None:
            self._committer.cancel()
        try:
            await self._finish(lanes)
        except KafkaError as error:
            # aiokafka would log it and go on.
            self._fail(error)
        finally:
            self._drop(lanes)

    async def _finish(self, lanes: Lanes) -> None:
        """Let what is in flight finish, within the time for draining, and commit what did.

        One at a time: a stop in the middle of a rebalance waits for the lanes that it revoked,
        since closing the producer would cut them off.
        """
        async with self._finishing:
            drained = self._start(_all_drained(lanes))
            waiting: list[asyncio.Future[None]] = [drained, self._broken]
            await asyncio.wait(
                waiting, timeout=self._qa.drain_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not drained.done():
                drained.cancel()
                left = sum(lane.ledger.in_flight for lane in lanes.values())
                log.warning("drain_unfinished", records=left, seconds=self._qa.drain_seconds)
            if self._committer is not None:
                await self._committer.commit(lanes)

    def _drop(self, lanes: Lanes) -> None:
        for partition, lane in lanes.items():
            lane.close()
            metrics.LAG.remove(partition.topic, str(partition.partition))
        lanes.clear()
        metrics.ASSIGNED.set(len(self._lanes))

    # Small things.

    def _fail(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

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
        log.warning("close_failed", part=part, error=in_a_line(error))


async def _all_drained(lanes: Lanes) -> None:
    for lane in list(lanes.values()):
        await lane.drain()


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
