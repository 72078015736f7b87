"""Members of the group with `KAFKA_GROUP_INSTANCE_ID`, in worker sessions on a real broker."""

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from tests.streaming.conftest import Running, RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.errors import format_error


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_the_second_worker_of_an_id_ends_the_first(topics: Topics, running: Running) -> None:
    settings = topics.with_(KAFKA_GROUP_INSTANCE_ID="qa-worker-0")
    first = RunningWorker(settings, StubEngine())
    await first.ready()
    async with running(settings, StubEngine()):
        await until(first.task.done, "the first worker has ended")
        error = first.task.exception()
        assert error is not None
        assert format_error(error).endswith(
            "another process has joined the group under this worker's KAFKA_GROUP_INSTANCE_ID; "
            "give each worker its own"
        )
        # The second one keeps what it has: the first does not take it back.
        await topics.send([event(number) for number in range(20)], key=None)
        await until(lambda: topics.has(20), "all are answered")


@pytest.mark.parametrize("delivery", ["exactly_once"])
async def test_partitions_that_are_added_after_the_leaders_restart_are_read(
    topics: Topics, running: Running
) -> None:
    """KAFKA-13435: the group's leader is not told so when it returns as a static member."""
    settings = topics.with_(KAFKA_GROUP_INSTANCE_ID="qa-worker-0", KAFKA_METADATA_MAX_AGE_MS="1000")
    async with running(settings, StubEngine()):
        pass
    async with running(settings, StubEngine()):
        admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
        await admin.start()
        try:
            await admin.create_partitions({settings.qa.questions_topic: NewPartitions(3)})
        finally:
            await admin.close()
        topics.partitions = 3
        await topics.send([event(number) for number in range(9)], key=None)
        await topics.committed_are({0: 3, 1: 3, 2: 3})
