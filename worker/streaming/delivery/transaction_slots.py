"""Bounds how many transactions a worker has open at once.

After a restart with a backlog all partitions of a worker have something to commit. With a thousand
of them, a thousand transactions would begin together: the brokers end none within its timeout, all
partitions are fenced again, and begin together again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_TRANSACTIONS = 32
"""A transaction takes 5 to 20 ms: 32 at once are more than a thousand in a second."""

HOLD_SECONDS = 2.5
"""For which a transaction that does not end counts. Those of a partition whose broker is away hang
until their timeout, and must not stop the other partitions.
"""


class TransactionSlots:
    """The slots of one session, handed out in the order of the requests."""

    def __init__(self, slots: int = MAX_TRANSACTIONS, hold_seconds: float = HOLD_SECONDS) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._hold_seconds = hold_seconds

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot. It is free again at the end of the block, or after `hold_seconds`."""
        await self._slots.acquire()
        is_held = True

        def release() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                self._slots.release()

        timer = asyncio.get_running_loop().call_later(self._hold_seconds, release)
        try:
            yield
        finally:
            timer.cancel()
            release()
