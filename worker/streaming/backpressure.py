"""Backpressure: how much work is in flight, and how long the poller waits before it takes more.

Three bounds hold at once, and a fixed one on the number of records. Bytes count from the poll to
the acknowledgement. Tokens are the engine's count of what it has not finished. Seconds bound those
tokens by the rate that the engine measures, so that a drain (rebalance, SIGTERM) takes about as
long with any model on any machine.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from worker.observability import metrics

MAX_RECORDS = 10_000
"""Records in flight. One takes up to 5 KB beside its bytes, all of them 50 MB.

It bounds records that the answer cache answers: these have no tokens, and may be small. Records
that the model reads reach a bound of tokens first: the default of QA_MAX_IN_FLIGHT_TOKENS is 5,500
questions of 12 tokens. With a larger one, 10,000 of them are seven times what keeps 16 threads
busy.
"""


class EngineLoad(Protocol):
    """What the limiter asks of the engine."""

    @property
    def pending_tokens(self) -> int:
        """Tokens submitted and not finished."""

    def pending_tokens_of(self, queue: str, /) -> int:
        """The part of them that was submitted to one queue; a queue is a questions topic."""

    @property
    def tokens_per_second(self) -> float:
        """The rate at which the engine finishes them while all of its threads are busy."""

    @property
    def min_pending_tokens(self) -> int:
        """Tokens that keep all threads busy: fewer would leave some of them without a batch."""


class InFlightLimiter:
    """Bounds on the records that were added and whose outcomes are not yet acknowledged."""

    def __init__(
        self,
        engine: EngineLoad,
        *,
        max_bytes: int,
        max_tokens: int,
        max_seconds: float,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """`weights` are those of the questions topics, if there are several."""
        self._engine = engine
        self._max_bytes = max_bytes
        self._max_tokens = max_tokens
        self._max_seconds = max_seconds
        weights = weights or {}
        least = min(weights.values(), default=1)
        self._shares = {topic: each / least for topic, each in weights.items()}
        self._has_topics = len(weights) > 1
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._wake_scheduled = False
        self.records = 0
        self.bytes = 0

    @property
    def token_limit(self) -> int:
        """Tokens that may be pending, by count and by time, and at least what keeps the engine
        busy. A topic that is alone may fill half of them if there are several topics.
        """
        by_time = int(self._engine.tokens_per_second * self._max_seconds)
        busy = self._engine.min_pending_tokens * (2 if self._has_topics else 1)
        return min(self._max_tokens, max(by_time, busy))

    def has_capacity(self, size: int = 0) -> bool:
        """Whether a record of `size` bytes may be added. One record always may, of any size.

        With several topics, tokens are bounded by `admits`.
        """
        if not self.records:
            return True
        return (
            self.records < MAX_RECORDS
            and self.bytes + size <= self._max_bytes
            and (self._has_topics or self._engine.pending_tokens < self.token_limit)
        )

    def admits(self, topic: str) -> bool:
        """Whether the engine may get another record of the topic beside those of other topics: as
        long as fewer tokens of the topic are pending than are free for all, times its weight
        divided by the least weight. A topic of which nothing is pending always may.

        So some capacity is always free for a topic whose records arrive, and topics that all have
        a backlog have tokens in flight in proportion to their weights (Choudhury and Hahne, as in
        `within_share`, with a factor for each queue).
        """
        if not self._has_topics:
            return True
        own = self._engine.pending_tokens_of(topic)
        pending, limit = self._engine.pending_tokens, self.token_limit
        if not own:
            return True
        if pending < self._engine.min_pending_tokens:
            return pending < limit
        return own < self._shares[topic] * (limit - pending)

    def within_share(self, size: int, *, held: int, records: int) -> bool:
        """Whether a partition that holds `records` with `held` bytes in flight may add a record of
        `size` bytes beside other partitions: as long as it holds no more of either than is free for
        all. It always may hold one record.

        A partition whose deliveries hang thus leaves half of the bytes to the others, two leave a
        third, and so on (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory
        Packet Switches", 1998, with a factor of 1).
        """
        return not records or (
            held + size <= self._max_bytes - self.bytes and records < MAX_RECORDS - self.records
        )

    async def wait_for_capacity(self) -> bool:
        """Wait until a small record may be added. Returns whether that took time. For one task, as
        `wait_for_change`.
        """
        waited = False
        while not self.has_capacity():
            await self.wait_for_change()
            waited = True
        return waited

    async def wait_for_change(self) -> None:
        """Wait until capacity may have been freed; at once, if that was so since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """Wake the waiters, for another reason than capacity."""
        self._changed.set()

    def engine_progressed(self) -> None:
        """The engine finished tokens: wake the waiters. May be called from any thread."""
        if not self._wake_scheduled:
            self._wake_scheduled = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._wake_scheduled = False
        self._changed.set()

    def acquire(self, size: int) -> None:
        """A record of `size` bytes is in flight."""
        self._change(1, size)

    def release(self, size: int) -> None:
        """Its outcome was acknowledged, or the record was discarded."""
        self._change(-1, -size)

    def _change(self, records: int, size: int) -> None:
        self.records += records
        self.bytes += size
        metrics.IN_FLIGHT_RECORDS.set(self.records)
        metrics.IN_FLIGHT_BYTES.set(self.bytes)
        if records < 0:
            self._changed.set()
