import asyncio

import pytest

from worker.kafka.deadline import deadline, note_interrupted


async def test_timeout_says_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"^no answer to the commit within 0\.01 s$"):
        async with deadline(0.01, "answer to the commit"):
            await asyncio.Event().wait()


async def test_timeout_of_the_block_itself_keeps_its_text() -> None:
    with pytest.raises(TimeoutError, match=r"^of the block$"):
        async with deadline(60, "answer"):
            raise TimeoutError("of the block")


async def test_timeout_names_the_request_of_a_child_task() -> None:
    async def request() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            note_interrupted("EndTxn: not answered")
            raise

    with pytest.raises(TimeoutError, match=r"within 0\.01 s: EndTxn: not answered$"):
        async with deadline(0.01, "end of the transaction"), asyncio.TaskGroup() as group:
            group.create_task(request())
