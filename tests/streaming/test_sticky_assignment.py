"""The sticky assignor. Its state is the class's, so each of several workers is a process."""

from contextlib import AsyncExitStack
from functools import partial

import pytest
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from tests.brokers.protocol import Broker
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess

pytestmark = [pytest.mark.process]


async def test_a_worker_that_joins_moves_its_own_partitions_only(broker: Broker) -> None:
    environment = {"KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "sticky", "QA_THREADS": "1"}
    async with (
        Topics(broker.bootstrap_servers, environment, 6) as topics,
        AsyncExitStack() as stack,
    ):
        await topics.create()
        workers: list[WorkerProcess] = []
        for share in (6, 3, 2):
            before = [_partitions(each) for each in workers]
            workers.append(WorkerProcess(topics.environment))
            stack.push_async_exit(workers[-1])
            await workers[-1].ready()
            await until(partial(_share, workers, share), "all share")
            kept = [_partitions(each) for each in workers[:-1]]
            assert all(now < old for now, old in zip(kept, before, strict=True))


async def test_a_worker_tells_the_assignor_the_generation_of_its_assignment(
    broker: Broker, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in what the worker claims to have, and the leader trusts the latest claim."""
    none = StickyPartitionAssignor.DEFAULT_GENERATION_ID
    monkeypatch.setattr(StickyPartitionAssignor, "member_assignment", None)
    monkeypatch.setattr(StickyPartitionAssignor, "generation", none)
    environment = {"KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "sticky"}
    async with Topics(broker.bootstrap_servers, environment) as topics:
        await topics.create()
        async with running(topics.settings, StubEngine()):
            assert StickyPartitionAssignor.generation == 1


def _share(workers: list[WorkerProcess], each: int) -> bool:
    return all(len(_partitions(worker)) == each for worker in workers)


def _partitions(worker: WorkerProcess) -> set[int]:
    return set(worker.events("assigned")[-1]["partitions"])
