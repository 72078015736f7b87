import asyncio

import pytest

from worker.kafka.deadline import deadline


async def test_timeout_says_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"^no answer to the commit within 0\.01 s$"):
        async with deadline(0.01, "answer to the commit"):
            await asyncio.Event().wait()


async def test_timeout_of_the_block_itself_keeps_its_text() -> None:
    with pytest.raises(TimeoutError, match=r"^of the block$"):
        async with deadline(60, "answer"):
            raise TimeoutError("of the block")
