"""A timeout that says what it waited for: `asyncio.timeout` raises an error without text."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

_interrupted: ContextVar[list[str] | None] = ContextVar("interrupted", default=None)


@asynccontextmanager
async def deadline(seconds: float, waiting_for: str) -> AsyncIterator[None]:
    """Raises `TimeoutError` if the block takes longer than `seconds`. Its text has `waiting_for`
    and the first request that `note_interrupted` was told of.
    """
    interrupted: list[str] = []
    token = _interrupted.set(interrupted)
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError:
        if timer.expired():
            last = "; ".join(interrupted[:1])
            text = f"no {waiting_for} within {seconds:g} s"
            raise TimeoutError(f"{text}: {last}" if last else text) from None
        raise
    finally:
        _interrupted.reset(token)


def note_interrupted(text: str) -> None:
    """Tell the innermost `deadline`, also of the task that created this one, what was cancelled."""
    noted = _interrupted.get()
    if noted is not None:
        noted.append(text)
