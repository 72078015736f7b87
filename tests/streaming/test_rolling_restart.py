"""A rolling restart of static members as processes, with the real model, while questions come."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.brokers.protocol import Broker
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess

pytestmark = [pytest.mark.alone, pytest.mark.process]

MEMBERS = 3


@pytest.fixture(params=["exactly_once", "at_least_once"])
async def topics(apache_kafka: Broker, request: pytest.FixtureRequest) -> AsyncIterator[Topics]:
    environment = {"KAFKA_SESSION_TIMEOUT_MS": "60000", "QA_DELIVERY": str(request.param)}
    async with Topics(apache_kafka.bootstrap_servers, environment, 2 * MEMBERS) as topics:
        await topics.create()
        yield topics


async def test_no_partition_moves_and_each_question_is_answered_once(topics: Topics) -> None:
    async with contextlib.AsyncExitStack() as stack:

        async def start(member: int) -> WorkerProcess:
            named = {"KAFKA_GROUP_INSTANCE_ID": f"qa-worker-{member}", "QA_THREADS": "1"}
            worker = WorkerProcess(topics.environment | named)
            stack.push_async_exit(worker)
            await worker.ready()
            return worker

        workers = [await start(member) for member in range(MEMBERS)]
        await until(lambda: all(len(_partitions(each)) == 2 for each in workers), "all share")
        assignments = [len(each.events("assigned")) for each in workers]
        sending = await stack.enter_async_context(_questions(topics))
        for member, worker in enumerate(workers.copy()):
            before = _partitions(worker)
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 0
            assert len(worker.events("assigned")) == assignments[member], "no rebalance before"
            workers[member] = await start(member)
            assert _partitions(workers[member]) == before
        sent = await sending()

        async def all_committed() -> bool:
            return sum(offset or 0 for offset in (await topics.committed()).values()) == sent

        await until(all_committed, "everything is committed")
        assert [len(each.events("assigned")) for each in workers] == [1] * MEMBERS
    assert sorted(await topics.ids()) == sorted(f"q-{number}" for number in range(sent))


def _partitions(worker: WorkerProcess) -> list[int]:
    return list(worker.events("assigned")[-1]["partitions"])


@contextlib.asynccontextmanager
async def _questions(topics: Topics) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Sends until the function that it yields is called, which returns how many were sent."""
    enough = asyncio.Event()

    async def send() -> int:
        sent = 0
        while not enough.is_set():
            await topics.send([event(number) for number in range(sent, sent + 6)], key=None)
            sent += 6
            await asyncio.sleep(0.2)
        return sent

    sending = asyncio.create_task(send())

    async def stop() -> int:
        enough.set()
        return await sending

    try:
        yield stop
    finally:
        await stop()
