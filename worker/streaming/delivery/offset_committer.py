"""At-least-once delivery's commits: of all partitions in one request, by time or by count, and only
what lies before the first record that is not done.
"""

import asyncio
import contextlib
from collections.abc import Callable

from aiokafka import TopicPartition

from worker.kafka.consumer import GroupConsumer
from worker.streaming.partition import PartitionProcessor

COMMIT_TIMEOUT_SECONDS = 5.0
"""For one commit. After a drain of 15 s (the default) it ends within the rebalance's 25 s."""

Lanes = dict[TopicPartition, PartitionProcessor]


class OffsetCommitter:
    """`run` beside the work; `soon` where a count is reached."""

    def __init__(
        self, intake: GroupConsumer, lanes: Callable[[], Lanes], *, interval: float
    ) -> None:
        """`lanes` gives those of the assignment at the moment; `interval` in seconds."""
        self._intake = intake
        self._lanes = lanes
        self._interval = interval
        self._due = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Commit without waiting for the interval's end."""
        self._due.set()

    def cancel(self) -> None:
        """A commit in progress would be repeated under the next generation, and could rewind it."""
        if self._committing is not None:
            self._committing.cancel()

    async def run(self) -> None:
        """Never returns. Raises `KafkaError` where committing has no use any more."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._interval)
            self._due.clear()
            self._committing = asyncio.create_task(self.commit(self._lanes()))
            await asyncio.wait([self._committing])
            if not self._committing.cancelled():
                self._committing.result()

    async def commit(self, lanes: Lanes) -> None:
        """What these have and the group has not. Raises as `run` does."""
        due = [
            (partition, lane, lane.ledger.safe, lane.uncommitted)
            for partition, lane in lanes.items()
            if lane.ledger.safe is not None and lane.ledger.safe != lane.committed
        ]
        offsets = {partition: offset for partition, _, offset, _ in due}
        if await self._intake.commit(offsets, seconds=COMMIT_TIMEOUT_SECONDS):
            for _, lane, offset, count in due:
                lane.was_committed(offset, count)
