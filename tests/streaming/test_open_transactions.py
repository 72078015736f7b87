"""Another producer's open transaction on the questions topic holds up the records behind it."""

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY

from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.streaming import watchdog


async def test_lag_counts_what_an_open_transaction_holds_up(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A check waits twice as long for the brokers, which may be busy with other tests.
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.5)
    questions = topics.settings.qa.questions_topic

    def metric(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"topic": questions, "partition": "0"})

    worker = RunningWorker(topics.settings, StubEngine())
    await worker.ready()
    worker.health.stall_after = 0.0
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers, transactional_id=f"{questions}-upstream"
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(questions, event(0), key=b"k", partition=0)
        await topics.send([event(n) for n in range(1, 11)], partition=0)
        await until(lambda: metric("qa_held_up_records") == 11, "the records are held up")
        assert metric("qa_lag_records") == 11
        assert await topics.ids() == []
        # Nothing can be read: a restart of the worker would not end that.
        assert not worker.task.done()
        assert not worker.health.stalled
        worker.health.stall_after = 3600.0
        await producer.commit_transaction()
    await until(lambda: topics.has(11), "all are answered")
    await until(lambda: metric("qa_held_up_records") == 0, "nothing is held up")
    worker.stop.set()
    await worker.task
