"""When offsets are committed, in both modes: after an interval, after a count of records, and for
partitions without records.
"""

import pytest
from aiokafka import AIOKafkaProducer

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_commit_records_commits_before_the_interval(topics: Topics, running: Running) -> None:
    settings = topics.with_(QA_COMMIT_INTERVAL_MS="3600000", QA_COMMIT_RECORDS="5")
    engine = StubEngine()
    async with running(settings, engine):
        # Exactly once, the first answer after an idle interval is committed at once.
        first = 1 if settings.qa.delivery == "exactly_once" else 0
        if first:
            await topics.send([event(0)], partition=0)
            await until(lambda: _committed(topics, 1), "the first is committed")
        await topics.send([event(n) for n in range(first, first + 5)], partition=0)
        await until(lambda: _committed(topics, first + 5), "five more are committed")
        await topics.send([event(n) for n in range(first + 5, first + 8)], partition=0)
        await until(lambda: len(engine.seen) == first + 8, "the engine has three more")
        assert (await topics.committed())[0] == first + 5
        await topics.send([event(n) for n in range(first + 8, first + 10)], partition=0)
        await until(lambda: _committed(topics, first + 10), "five more are committed")
    assert await topics.ids() == [f"q-{n}" for n in range(first + 10)]


async def test_stop_commits_before_the_interval(topics: Topics, running: Running) -> None:
    settings = topics.with_(QA_COMMIT_INTERVAL_MS="3600000")
    engine = StubEngine()
    async with running(settings, engine):
        for n in range(3):
            await topics.send([event(n)], partition=0)
            await until(lambda n=n: len(engine.seen) == n + 1, "the engine has it")  # type: ignore[misc]
    assert (await topics.committed())[0] == 3
    assert await topics.ids() == ["q-0", "q-1", "q-2"]


async def test_lag_is_0_behind_transaction_markers(topics: Topics, running: Running) -> None:
    questions = topics.settings.qa.questions_topic
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers, transactional_id=f"{questions}-upstream"
    ) as producer:
        for number, end in enumerate(("commit", "abort", "commit", "abort")):
            await producer.begin_transaction()
            await producer.send_and_wait(questions, event(number), key=b"k", partition=0)
            await getattr(producer, f"{end}_transaction")()
    ends = await topics.ends()
    # Four records, and a marker behind each.
    assert ends[0] == 8
    async with running(topics.settings, StubEngine()):
        await topics.committed_are(ends)
        await topics.send([event(9)], partition=0)
        await until(lambda: _committed(topics, 9), "the next record is committed")
    assert await topics.ids() == ["q-0", "q-2", "q-9"]


async def _committed(topics: Topics, offset: int) -> bool:
    return (await topics.committed())[0] == offset
