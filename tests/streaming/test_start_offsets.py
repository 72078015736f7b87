"""Where the worker reads on when the group has no offset, or the brokers no longer have the record:
retention, added partitions, new groups. With `latest`, which must not skip a record of a group that
has read from the topic; in both modes.
"""

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.topics import admin_client

LARGE = {"metadata": {"filling": "x" * 4000}}
"""Four of these fill a producer's batch."""


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def topics(topics: Topics) -> Topics:
    topics.environment["KAFKA_AUTO_OFFSET_RESET"] = "latest"
    topics.environment["KAFKA_METADATA_MAX_AGE_MS"] = "1000"
    return topics


async def test_a_stopped_worker_goes_on_with_the_oldest_record(
    topics: Topics, running: Running
) -> None:
    async with running(topics.settings, StubEngine()):
        await topics.send([event(n) for n in range(5)], partition=0)
        await topics.committed_are({0: 5, 1: 0})
    await topics.send([event(n) for n in range(5, 45)], partition=0)
    await _delete_before(topics, 20)
    with capture_logs() as logs:
        async with running(topics.settings, StubEngine()):
            await topics.committed_are({0: 45, 1: 0})
    assert await topics.ids() == [f"q-{n}" for n in (*range(5), *range(20, 45))]
    (expired,) = [each for each in logs if each["event"] == "records_expired"]
    assert expired == {
        "event": "records_expired",
        "log_level": "error",
        "topic": topics.settings.qa.questions_topic,
        "partition": 0,
        "from_offset": 5,
        "to_offset": 20,
    }
    assert _expired(topics) == 15


async def test_a_running_worker_goes_on_with_the_oldest_record(
    topics: Topics, running: Running
) -> None:
    # One record is in flight, and what was fetched ahead of it is a batch or two.
    settings = topics.with_(QA_MAX_IN_FLIGHT_BYTES="1024", KAFKA_MAX_PARTITION_FETCH_BYTES="1024")
    engine = StubEngine(holds=lambda _: True)
    async with running(settings, engine):
        await topics.committed_are({0: 0, 1: 0})
        await topics.send([event(n, **LARGE) for n in range(100)], partition=0)
        await until(lambda: bool(engine.seen), "the engine has a record")
        await _delete_before(topics, 80)
        engine.release_all()
        await topics.committed_are({0: 100, 1: 0})
        ids = [int(name[2:]) for name in await topics.ids()]
    read_before = [number for number in ids if number < 80]
    assert ids == [*range(len(read_before)), *range(80, 100)]
    assert _expired(topics) == 80 - len(read_before) > 0


async def test_retention_that_deleted_everything_is_said(topics: Topics, running: Running) -> None:
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 0, 1: 0})
    await topics.send([event(n) for n in range(7)], partition=1)
    await _delete_before(topics, 7, partition=1)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 0, 1: 7})
        await topics.send([event(8)], partition=1)
        await topics.committed_are({0: 0, 1: 8})
    assert await topics.ids() == ["q-8"]
    assert _expired(topics, partition=1) == 7


async def test_an_added_partition_is_read_from_its_beginning(
    topics: Topics, running: Running
) -> None:
    async with running(topics.settings, StubEngine()):
        await topics.send([event(n) for n in range(4)])
        await topics.committed_are({0: 2, 1: 2})
        topics.partitions = 3
        qa, wider = topics.settings.qa, NewPartitions(3)
        async with admin_client(topics.settings.kafka) as admin:
            await admin.create_partitions({qa.questions_topic: wider, qa.answers_topic: wider})
        # Before the worker can know the partition.
        await topics.send([event(n) for n in range(4, 14)], partition=2)
        await topics.committed_are({0: 2, 1: 2, 2: 10})
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(14))


@pytest.mark.parametrize(("reset", "answered"), [("latest", [6]), ("earliest", range(7))])
async def test_a_group_without_offsets_says_where_it_starts(
    topics: Topics, running: Running, reset: str, answered: range
) -> None:
    settings = topics.with_(KAFKA_AUTO_OFFSET_RESET=reset)
    await topics.send([event(n) for n in range(6)])
    with capture_logs() as logs:
        async with running(settings, StubEngine()):
            await topics.send([event(6)])
            await until(lambda: topics.has(len(answered)), "the answers")
    assert sorted(await topics.ids()) == [f"q-{n}" for n in answered]
    (said,) = [each for each in logs if each["event"] == "group_without_offsets"]
    assert (said["reset"], said["records"], said["log_level"]) == (reset, 6, "warning")


def _expired(topics: Topics, partition: int = 0) -> float | None:
    labels = {"topic": topics.settings.qa.questions_topic, "partition": str(partition)}
    return REGISTRY.get_sample_value("qa_expired_offsets_total", labels)


async def _delete_before(topics: Topics, offset: int, partition: int = 0) -> None:
    """What retention does, at once."""
    source = TopicPartition(topics.settings.qa.questions_topic, partition)
    async with admin_client(topics.settings.kafka) as admin:
        await admin.delete_records({source: RecordsToDelete(offset)})
