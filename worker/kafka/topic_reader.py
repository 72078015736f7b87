"""Topics from one offset to another, outside of any group: for commands that look and then end.

Knows where partitions begin and end and how to read between; what records mean is left to others.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from worker.kafka.connection import connection_options
from worker.kafka.diagnostics import explain_connection_errors
from worker.kafka.errors import StreamingError
from worker.settings import KafkaSettings

NO_PROGRESS_TIMEOUT_SECONDS = 75.0
"""Without a step forward. Longer than the 60 s after which brokers end a transaction that nobody
ends (transaction.timeout.ms, its default): what is committed behind it is then seen."""

_POLL_MS = 500

Watch = Callable[[str, int, int], None]
"""Called with what is being read, how many offsets are behind, and how many there are."""


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """The offsets of a partition from `begin` up to, but not with, `end`."""

    partition: TopicPartition
    begin: int
    end: int

    @property
    def length(self) -> int:
        return max(0, self.end - self.begin)


class TopicReader:
    """`async with Scan(kafka) as scan`. What it raises: `StreamingError`, `KafkaError`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        options = connection_options(kafka)
        self._kafka = kafka
        self._batch = kafka.max_poll_records
        self._consumer = AIOKafkaConsumer(
            **options,
            isolation_level="read_committed",
            # Where records went by retention meanwhile, reading goes on with those that are there.
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=kafka.max_partition_fetch_bytes,
        )
        # Sees what open transactions hide from the other: where a partition ends, and its times.
        self._unhidden = AIOKafkaConsumer(**options, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        try:
            async with explain_connection_errors(self._kafka):
                await self._consumer.start()
            await self._unhidden.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._unhidden.stop()

    async def stretches(
        self,
        topic: str,
        partitions: int,
        *,
        since: int | None = None,
        with_open_transactions: bool = False,
    ) -> list[OffsetRange]:
        """What there is of the topic at this moment, from the first record on whose timestamp is
        `since` (milliseconds since 1970) or later.

        `with_open_transactions`: up to what has been written, not only to what can be read. Reading
        it then waits until those transactions have ended.
        """
        every = [TopicPartition(topic, number) for number in range(partitions)]
        seer = self._unhidden if with_open_transactions else self._consumer
        ends = await seer.end_offsets(every)
        begins = await seer.beginning_offsets(every)
        if since is not None:
            found = await seer.offsets_for_times(dict.fromkeys(every, since))
            # None: no record is as late as that.
            begins = {tp: found[tp].offset if found.get(tp) else ends[tp] for tp in every}
        return [OffsetRange(tp, begins[tp], ends[tp]) for tp in every]

    async def read(
        self, stretches: Sequence[OffsetRange], watch: Watch
    ) -> AsyncGenerator[Any, None]:
        """The records, one partition after the other, in order within each."""
        total = sum(stretch.length for stretch in stretches)
        done = 0
        for stretch in stretches:
            if not stretch.length:
                continue
            topic = stretch.partition.topic
            async for position, records in self._polls(stretch):
                for record in records:
                    yield record
                watch(topic, done + min(position, stretch.end) - stretch.begin, total)
            done += stretch.length

    async def at(self, topic: str, partition: int, offset: int) -> Any | None:
        """The record that lies there, or `None` where there is none any more."""
        place = TopicPartition(topic, partition)
        # All topics, since asking for one by name can create it.
        if topic not in await self._consumer.topics():
            return None
        # Partition 0, which every topic has: the consumer then knows of the others.
        await self._consumer.beginning_offsets([TopicPartition(topic, 0)])
        if partition not in (self._consumer.partitions_for_topic(topic) or ()):
            return None
        begin = (await self._consumer.beginning_offsets([place]))[place]
        end = (await self._consumer.end_offsets([place]))[place]
        if not begin <= offset < end:
            return None
        async for _, records in self._polls(OffsetRange(place, offset, end)):
            for record in records:
                # With compaction, or inside of a transaction that was aborted, it is a later one.
                return record if record.offset == offset else None
        return None

    async def _polls(self, stretch: OffsetRange) -> AsyncGenerator[tuple[int, list[Any]], None]:
        """The position after each poll, and the records that it brought."""
        partition, position = stretch.partition, stretch.begin
        self._consumer.assign([partition])
        self._consumer.seek(partition, position)
        moved = time.monotonic()
        while position < stretch.end:
            fetched, now = {}, position
            with suppress(TimeoutError):
                async with asyncio.timeout(NO_PROGRESS_TIMEOUT_SECONDS):
                    fetched = await self._consumer.getmany(
                        partition, timeout_ms=_POLL_MS, max_records=self._batch
                    )
                    now = await self._consumer.position(partition)
            if now > position:
                position, moved = now, time.monotonic()
            elif time.monotonic() - moved > NO_PROGRESS_TIMEOUT_SECONDS:
                raise StreamingError(
                    f"{partition.topic}-{partition.partition} gives nothing from offset {position} "
                    f"on, {stretch.end - position} to go: its broker is away, or a transaction is "
                    f"open there; try again later"
                )
            records = [
                record for record in fetched.get(partition, ()) if record.offset < stretch.end
            ]
            yield position, records


def clip(
    stretches: Sequence[OffsetRange], *, partition: int | None, first: int, last: int | None
) -> list[OffsetRange]:
    """What of them lies in `partition` (`None`: any), from offset `first` to `last`, included."""
    return [
        replace(
            stretch,
            begin=max(stretch.begin, first),
            end=stretch.end if last is None else min(stretch.end, last + 1),
        )
        for stretch in stretches
        if partition in (None, stretch.partition.partition)
    ]
