"""Reads ranges of a topic's offsets, outside of any consumer group: for commands that then end.

Responsible for where partitions begin and end and for reading between; not for what records mean.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from worker.kafka._aiokafka_records import RecordConsumer
from worker.kafka.connection import connection_options
from worker.kafka.diagnostics import explain_connection_errors
from worker.kafka.errors import StreamingError
from worker.kafka.records import FetchedRecord, UnreadableBatch
from worker.settings import Settings

NO_PROGRESS_TIMEOUT_SECONDS = 75.0
"""More than the 60 s after which brokers abort a transaction (the default of producers'
transaction.timeout.ms): until then it hides the records behind it."""

_POLL_MS = 500

OnProgress = Callable[[str, int, int], None]
"""Called with the topic, the number of offsets read, and the number of offsets to read."""

OnUnreadable = Callable[[UnreadableBatch], None]
"""Called for a batch that cannot be read; reading continues behind it."""


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """The offsets of a partition from `begin` to `end`, without `end`."""

    partition: TopicPartition
    begin: int
    end: int

    @property
    def length(self) -> int:
        return max(0, self.end - self.begin)


class TopicReader:
    """`async with TopicReader.open(kafka) as reader`. Reads committed records. Its methods raise
    `StreamingError` and `KafkaError`.
    """

    def __init__(
        self,
        committed: AIOKafkaConsumer,
        uncommitted: AIOKafkaConsumer,
        poll_records: int,
        on_unreadable: OnUnreadable,
    ) -> None:
        """`uncommitted` sees the ends that open transactions hide from `committed`."""
        self._committed = committed
        self._uncommitted = uncommitted
        self._poll_records = poll_records
        self._on_unreadable = on_unreadable

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, on_unreadable: OnUnreadable = lambda _: None
    ) -> AsyncIterator[Self]:
        """Raises `StreamingError`, `KafkaError`."""
        kafka = settings.kafka
        options = connection_options(kafka)
        committed = RecordConsumer(
            max_batch_bytes=settings.qa.max_batch_bytes,
            skip_unreadable=True,
            **options,
            isolation_level="read_committed",
            # If retention deletes the next record meanwhile, continue at the first that is left.
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=kafka.max_partition_fetch_bytes,
        )
        uncommitted = AIOKafkaConsumer(**options, enable_auto_commit=False)
        try:
            async with explain_connection_errors(kafka):
                await committed.start()
            await uncommitted.start()
            yield cls(committed, uncommitted, kafka.max_poll_records, on_unreadable)
        finally:
            await committed.stop()
            await uncommitted.stop()

    async def ranges(
        self,
        topic: str,
        partitions: int,
        *,
        since: int | None = None,
        with_open_transactions: bool = False,
    ) -> list[OffsetRange]:
        """All offsets of each partition at this moment; with `since` (milliseconds since 1970),
        from the first record whose timestamp is that or later.

        `with_open_transactions` includes records of open transactions. Reading these ranges waits
        until the transactions end.
        """
        all_partitions = [TopicPartition(topic, number) for number in range(partitions)]
        consumer = self._uncommitted if with_open_transactions else self._committed
        ends = await consumer.end_offsets(all_partitions)
        begins = await consumer.beginning_offsets(all_partitions)
        if since is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(all_partitions, since))
            # None: all records of the partition are earlier.
            begins = {tp: found[tp].offset if found.get(tp) else ends[tp] for tp in all_partitions}
        return [OffsetRange(tp, begins[tp], ends[tp]) for tp in all_partitions]

    async def read(
        self, ranges: Sequence[OffsetRange], on_progress: OnProgress
    ) -> AsyncGenerator[Any, None]:
        """The records, one partition after the other, each in offset order."""
        total = sum(each.length for each in ranges)
        done = 0
        for each in ranges:
            if not each.length:
                continue
            async for position, records in self._poll_range(each):
                for record in records:
                    yield record
                read = done + min(position, each.end) - each.begin
                on_progress(each.partition.topic, read, total)
            done += each.length

    async def read_one(self, topic: str, partition: int, offset: int) -> Any | None:
        """The record at the offset, or None if there is none (any more)."""
        tp = TopicPartition(topic, partition)
        # Ask for all topics: asking for one by name can create it.
        if topic not in await self._committed.topics():
            return None
        # Partition 0 always exists; asking for it makes the consumer learn of the others.
        await self._committed.beginning_offsets([TopicPartition(topic, 0)])
        if partition not in (self._committed.partitions_for_topic(topic) or ()):
            return None
        begin = (await self._committed.beginning_offsets([tp]))[tp]
        end = (await self._committed.end_offsets([tp]))[tp]
        if not begin <= offset < end:
            return None
        async for _, records in self._poll_range(OffsetRange(tp, offset, end)):
            for record in records:
                # A later record, if compaction or an aborted transaction removed this one.
                return record if record.offset == offset else None
        return None

    async def _poll_range(
        self, offset_range: OffsetRange
    ) -> AsyncGenerator[tuple[int, list[Any]], None]:
        """The position after each poll, and the poll's records."""
        partition, position = offset_range.partition, offset_range.begin
        self._committed.assign([partition])
        self._committed.seek(partition, position)
        progressed_at = time.monotonic()
        while position < offset_range.end:
            fetched, new_position = {}, position
            with suppress(TimeoutError):
                async with asyncio.timeout(NO_PROGRESS_TIMEOUT_SECONDS):
                    fetched = await self._committed.getmany(
                        partition, timeout_ms=_POLL_MS, max_records=self._poll_records
                    )
                    new_position = await self._committed.position(partition)
            if new_position > position:
                position, progressed_at = new_position, time.monotonic()
            elif time.monotonic() - progressed_at > NO_PROGRESS_TIMEOUT_SECONDS:
                raise StreamingError(
                    f"no progress reading {partition.topic}-{partition.partition} at offset "
                    f"{position} ({offset_range.end - position} offsets remaining): broker "
                    f"unavailable or open transaction; retry later"
                )
            readable = self._readable(fetched.get(partition, ()))
            yield position, [record for record in readable if record.offset < offset_range.end]

    def _readable(self, fetched: Sequence[FetchedRecord]) -> list[Any]:
        """The records, without batches that cannot be read. Raises `StreamingError` where it is not
        known where such a batch ends.
        """
        records: list[Any] = []
        for record in fetched:
            if not isinstance(record, UnreadableBatch):
                records.append(record)
            elif record.skipped:
                self._on_unreadable(record)
            else:
                raise StreamingError(
                    f"{record.topic} partition {record.partition} cannot be read at offset "
                    f"{record.offset}: {record.detail}; select offsets before or behind it"
                )
        return records


def clip(
    ranges: Sequence[OffsetRange], *, partition: int | None, first: int, last: int | None
) -> list[OffsetRange]:
    """The parts of `ranges` in `partition` (None: any) from offset `first` to `last`, included."""
    return [
        replace(
            each,
            begin=max(each.begin, first),
            end=each.end if last is None else min(each.end, last + 1),
        )
        for each in ranges
        if partition in (None, each.partition.partition)
    ]
