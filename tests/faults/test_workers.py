"""Supervision of worker processes: restarts, and failpoints across restarts."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.question import Question
from tests.brokers.clients import until
from tests.faults.faulty_worker import ENGINE
from tests.faults.stub import Stub
from tests.faults.workers import Worker, armed


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Worker]:
    """A worker without a broker: it exits at its start."""
    no_broker = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", ENGINE: "stub", "QA_HTTP_PORT": "0"}
    return lambda: Worker(0, {**no_broker, "QA_HTTP_HOST": "127.0.0.1"}, tmp_path / "log")


@pytest.mark.process
async def test_worker_that_exits_is_restarted_and_reported(make: Callable[[], Worker]) -> None:
    worker = make()
    worker.start()
    await until(lambda: worker.starts >= 2)
    await worker.stop()

    assert worker.exits[0].startswith("exit 1: qa-worker: cannot start with 127.0.0.1:1")
    assert worker.killed == 0


@pytest.mark.process
async def test_failpoint_stays_armed_over_exits_until_a_kill(
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
async def test_stopped_worker_is_not_restarted(make: Callable[[], Worker]) -> None:
    worker = make()
    worker.start()
    await worker.stop()
    starts = worker.starts
    assert await worker.stop() is None
    assert worker.starts == starts


async def test_stub_gives_expected_answers_out_of_order() -> None:
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
