"""Backpressure: how much work is in flight, and how long the poller waits before it takes more.

Three bounds hold at once, and a fixed one on the number of records. Bytes count from the poll to
the acknowledgement. Tokens are the engine's count of what it has not finished. Seconds bound those
tokens by the rate that the engine measures, so that a drain (rebalance, SIGTERM) takes about as
long with any model on any machine.
"""

import asyncio
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

    @property
    def tokens_per_second(self) -> float:
        """The rate at which the engine finishes them while all of its threads are busy."""

    @property
    def min_pending_tokens(self) -> int:
        """Tokens that keep all threads busy: fewer would leave some of them without a batch."""


class InFlightLimiter:
    """Bounds on the records that were added and whose outcomes are not yet acknowledged."""

    def __init__(
        self, engine: EngineLoad, *, max_bytes: int, max_tokens: int, max_seconds: float
    ) -> None:
        self._engine = engine
        self._max_bytes = max_bytes
        self._max_tokens = max_tokens
        self._max_seconds = max_seconds
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._wake_scheduled = False
        self.records = 0
        self.bytes = 0

    @property
    def token_limit(self) -> int:
        """Tokens that may be pending, by count and by time, and at least what keeps the engine
        busy.
        """
        by_time = int(self._engine.tokens_per_second * self._max_seconds)
        return min(self._max_tokens, max(by_time, self._engine.min_pending_tokens))

    def has_capacity(self, size: int = 0) -> bool:
        """Whether a record of `size` bytes may be added. One record always may, of any size."""
        if not self.records:
            return True
        return (
            self.records < MAX_RECORDS
            and self.bytes + size <= self._max_bytes
            and self._engine.pending_tokens < self.token_limit
        )

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
