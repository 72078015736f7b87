"""What is in flight, and whether there is room for more: the worker's backpressure.

Bytes are counted from poll to acknowledgement, tokens are the reader's own count.
"""

import asyncio
from collections.abc import Callable

from worker.observability import metrics


class InFlightLimiter:
    """Bounds on records that were taken and are not yet acknowledged."""

    def __init__(self, *, max_bytes: int, max_tokens: int, tokens: Callable[[], int]) -> None:
        self._max_bytes = max_bytes
        self._max_tokens = max_tokens
        self._tokens = tokens
        self._changed = asyncio.Event()
        self.records = 0
        self.bytes = 0

    def has_room(self, size: int = 0) -> bool:
        """Room for a record of `size` bytes? A single record always fits, whatever its size."""
        if not self.records:
            return True
        return self.bytes + size <= self._max_bytes and self._tokens() < self._max_tokens

    async def room(self, size: int = 0) -> None:
        """Wait until there is room."""
        while not self.has_room(size):
            self._changed.clear()
            await self._changed.wait()

    def enter(self, size: int) -> None:
        self._change(1, size)

    def leave(self, size: int) -> None:
        self._change(-1, -size)

    def _change(self, records: int, size: int) -> None:
        self.records += records
        self.bytes += size
        metrics.IN_FLIGHT_RECORDS.set(self.records)
        metrics.IN_FLIGHT_BYTES.set(self.bytes)
        self._changed.set()
