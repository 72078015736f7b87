"""When offsets are committed, in both deliveries: by time, by count, and where nothing comes."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_count_of_records_does_not_wait_for_the_interval(
    topics: Topics, running: Running
) -> None:
    settings = topics.with_(QA_COMMIT_INTERVAL_MS="3600000", QA_COMMIT_RECORDS="5")
    reader = StubEngine()
    async with running(settings, reader):
        # Where nothing was delivered for so long, the first one waits for no company either.
        await topics.send([event(n) for n in range(5)], partition=0)
        await until(lambda: _committed(topics, 5), "five are committed")
        await topics.send([event(n) for n in range(5, 8)], partition=0)
        await until(lambda: len(reader.seen) == 8, "three more are read")
        assert (await topics.committed())[0] == 5
        await topics.send([event(n) for n in range(8, 10)], partition=0)
        await until(lambda: _committed(topics, 10), "ten are committed")
    assert await topics.ids() == [f"q-{n}" for n in range(10)]


async def test_the_end_of_the_worker_waits_for_no_interval(
    topics: Topics, running: Running
) -> None:
    settings = topics.with_(QA_COMMIT_INTERVAL_MS="3600000")
    reader = StubEngine()
    async with running(settings, reader):
        for n in range(3):
            await topics.send([event(n)], partition=0)
            await until(lambda n=n: len(reader.seen) == n + 1, "it is read")  # type: ignore[misc]
    assert (await topics.committed())[0] == 3
    assert await topics.ids() == ["q-0", "q-1", "q-2"]


async def test_lag_reads_0_behind_the_markers_of_the_producers_transactions(
    topics: Topics, running: Running
) -> None:
    questions = topics.settings.qa.questions_topic
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers, transactional_id=f"{questions}-upstream"
    ) as producer:
        for number, fate in enumerate(("commit", "abort", "commit", "abort")):
            await producer.begin_transaction()
            await producer.send_and_wait(questions, event(number), key=b"k", partition=0)
            await getattr(producer, f"{fate}_transaction")()
    ends = await _ends(topics)
    # Four records, and a marker behind each.
    assert ends[0] == 8
    async with running(topics.settings, StubEngine()):

        async def no_lag() -> bool:
            return await topics.committed() == ends

        await until(no_lag, "what is committed is the end")
        # And goes on from there.
        await topics.send([event(9)], partition=0)
        await until(lambda: _committed(topics, 9), "the next is committed")
    assert await topics.ids() == ["q-0", "q-2", "q-9"]


async def _committed(topics: Topics, offset: int) -> bool:
    return (await topics.committed())[0] == offset


async def _ends(topics: Topics) -> dict[int, int | None]:
    """Where the partitions of the questions end, as KEDA's lag has it."""
    async with AIOKafkaConsumer(bootstrap_servers=topics.servers) as consumer:
        partitions = topics.all_partitions(topics.settings.qa.questions_topic)
        ends = await consumer.end_offsets(partitions)
    return {partition.partition: end for partition, end in ends.items()}
