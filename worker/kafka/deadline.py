"""A timeout that says what it waited for: `asyncio.timeout` raises an error without text."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def deadline(seconds: float, waiting_for: str) -> AsyncIterator[None]:
    """Raises `TimeoutError` if the block takes longer than `seconds`."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError:
        if timer.expired():
            raise TimeoutError(f"no {waiting_for} within {seconds:g} s") from None
        raise
