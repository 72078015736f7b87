"""Keeps a worker at work until its login has been renewed."""

from collections.abc import Callable

from tests.streaming.conftest import RunningWorker
from tests.streaming.topics import Topics, event, until


async def answer_until(
    is_renewed: Callable[[], bool], worker: RunningWorker, topics: Topics
) -> None:
    """Send a question after each answer until `is_renewed`, and stop the worker. Each question must
    be answered once.
    """
    sent = 0
    while not is_renewed():
        await topics.send([event(sent)], partition=0)
        sent += 1
        await until(lambda: topics.has(sent) or worker.task.done(), "answered")  # noqa: B023
        assert not worker.task.done(), worker.task.result()
    worker.stop.set()
    await worker.task
    assert await topics.ids() == [f"q-{n}" for n in range(sent)]
