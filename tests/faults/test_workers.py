"""How workers are kept: restarted when they give up, carrying on with what they were armed with."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.question import Question
from tests.brokers.clients import until
from tests.faults.faulty_worker import READER
from tests.faults.stub import Stub
from tests.faults.workers import Worker, armed


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Worker]:
    """A worker whose brokers are not there: it gives up at its start."""
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", READER: "stub", "QA_HTTP_PORT": "0"}
    return lambda: Worker(0, {**nowhere, "QA_HTTP_HOST": "127.0.0.1"}, tmp_path / "log")


@pytest.mark.process
async def test_one_that_gives_up_is_restarted_and_quoted(make: Callable[[], Worker]) -> None:
    worker = make()
    worker.start()
    await until(lambda: worker.starts >= 2)
    await worker.stop()

    assert worker.exits[0].startswith("exit 1: qa-worker: cannot start with 127.0.0.1:1")
    assert worker.killed == 0


@pytest.mark.process
async def test_what_one_is_armed_with_outlives_its_giving_up_but_not_its_death(
    make: Callable[[], Worker],
) -> None:
    worker = make()
    worker.start()
    await worker.restart(**armed("batch", 1, signal.SIGKILL))
    armed_since = worker.starts
    await until(lambda: worker.starts > armed_since)
    assert _last_start(worker).count("batch:1:SIGKILL") == 1
    worker.kill()
    await until(lambda: worker.killed == 1 and "batch" not in _last_start(worker))
    await worker.stop()


@pytest.mark.process
async def test_one_that_is_told_to_leave_has_no_successor(make: Callable[[], Worker]) -> None:
    worker = make()
    worker.start()
    await worker.stop()
    starts = worker.starts
    assert await worker.stop() is None
    assert worker.starts == starts


async def test_the_stub_answers_what_is_known_out_of_order() -> None:
    stub, finished = Stub(), []
    futures = []
    for number in range(100):
        event = Question(id=str(number), question="Who?", context=f"Person{number} lives here.")
        future = stub.submit(event)
        future.add_done_callback(lambda done: finished.append(int(done.result().outcome.id)))
        futures.append(asyncio.wrap_future(future))
    answers = await asyncio.gather(*futures)

    assert [answer.outcome.answer for answer in answers] == [f"Person{n}" for n in range(100)]
    assert finished != sorted(finished)
    assert stub.pending_tokens == 0


def _last_start(worker: Worker) -> str:
    return worker.log.read_text().rpartition("--- start")[2].splitlines()[0]
