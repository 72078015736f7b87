"""Worker processes with the real model on Apache Kafka: kills, stops, suspensions and outages."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from schemas.rejection import Reason
from tests.brokers.apache import ApacheKafka
from tests.brokers.protocol import Broker
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess

pytestmark = [pytest.mark.alone, pytest.mark.process]

StartApacheKafka = Callable[..., ApacheKafka]

BACKLOG = 240
"""Questions that wait while a worker starts: a killed one has some of them in flight."""


@pytest.fixture
def delivery() -> str:
    return "exactly_once"


@pytest.fixture
async def topics(apache_kafka: Broker, delivery: str) -> AsyncIterator[Topics]:
    async with Topics(
        apache_kafka.bootstrap_servers,
        # A killed worker's partitions go to the next one within about a second.
        {"KAFKA_SESSION_TIMEOUT_MS": "1500", "QA_DELIVERY": delivery, "QA_THREADS": "2"},
        partitions=4,
    ) as topics:
        await topics.create()
        yield topics


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_kills_and_rebalances_lose_no_answer(topics: Topics, delivery: str) -> None:
    sender = _Sender(topics)
    sending = asyncio.create_task(sender.run())
    try:
        for _ in range(5):
            async with WorkerProcess(topics.environment) as worker:
                await _answered(worker, 40)
                worker.kill()
        async with WorkerProcess(topics.environment) as first:
            await _answered(first, 40)
            async with WorkerProcess(topics.environment) as second:
                await _answered(second, 40)
                second.signal(signal.SIGTERM)
                assert await second.ended() == 0
            consumed = await first.metric("qa_consumed_records_total")
            await _answered(first, int(consumed) + 40)
            sender.enough.set()
            sent = await sending
            await until(lambda: _all_committed(topics, sent), "everything is committed")
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0
    finally:
        sender.enough.set()
        await sending
    ids = Counter(await topics.ids())
    missing = [n for n in range(sent) if f"q-{n}" not in ids]
    repeated = sum(ids.values()) - len(ids)
    summary = f"{sent} sent, {len(missing)} missing, {repeated} repeated"
    print(f"\n{delivery}: 5 kills, 1 join, 1 leave: {summary}")
    assert not missing
    assert len(ids) == sent
    if delivery == "exactly_once":
        assert not repeated


async def test_sigterm_drains_commits_and_exits_with_0(topics: Topics) -> None:
    await topics.send([event(n) for n in range(400)], key=None)
    async with WorkerProcess(topics.environment) as worker:
        await _answered(worker, 20)
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert worker.events("stopped")
    ids = await topics.ids()
    committed = await _committed(topics)
    assert len(ids) == len(set(ids)) == committed
    assert committed > 0


async def test_second_sigterm_exits_without_draining(topics: Topics) -> None:
    await topics.send([event(n, context="word " * 3000) for n in range(40)], key=None)
    async with WorkerProcess(topics.environment) as worker:
        await until(lambda: _records(worker, 1), "a record is in flight")
        worker.signal(signal.SIGTERM)
        await until(lambda: bool(worker.events("draining")), "draining")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 1
        assert not worker.events("stopped")
    ids = Counter(await topics.ids())
    committed = await _committed(topics)
    assert committed <= len(ids) < 40


async def test_exceeded_shutdown_budget_exits_and_loses_nothing(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka()
    budget = {"QA_DRAIN_SECONDS": "0.5", "QA_SHUTDOWN_SECONDS": "1"}
    async with Topics(kafka.bootstrap_servers, budget) as topics:
        await topics.create()
        await topics.send([event(n) for n in range(500)], key=None)
        async with WorkerProcess(topics.environment) as worker:
            await _answered(worker, 20)
            # A suspended broker answers nothing and closes no connection.
            kafka.suspend()
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 1
            assert worker.events("shutdown_budget_exceeded")
        kafka.resume()
        async with WorkerProcess(topics.environment) as worker:
            await until(lambda: _all_committed(topics, 500), "the next worker commits the rest")
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 0
        assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(500))


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_sigterm_without_brokers_says_what_is_dropped(
    start_apache_kafka: StartApacheKafka, delivery: str
) -> None:
    kafka = start_apache_kafka()
    environment = {"QA_DRAIN_SECONDS": "2", "QA_DELIVERY": delivery}
    async with Topics(kafka.bootstrap_servers, environment) as topics:
        await topics.create()
        await topics.send([event(n, context="word " * 3000) for n in range(40)], key=None)
        async with WorkerProcess(topics.environment) as worker:
            await until(lambda: _records(worker, 1), "a record is in flight")
            await asyncio.to_thread(kafka.kill)
            in_flight = await worker.metric("qa_in_flight_records")
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 0
            (discarded,) = worker.events("records_discarded")
            assert discarded["records"] == in_flight > 0


async def test_suspended_worker_is_fenced_and_rejoins(topics: Topics) -> None:
    async with (
        WorkerProcess(topics.environment) as suspended,
        WorkerProcess(topics.environment) as other,
    ):
        await until(lambda: _has(suspended, 2) and _has(other, 2), "each worker has two partitions")
        # Enough records that some are in flight when the worker is suspended.
        await topics.send([event(n) for n in range(600)], key=None)
        await _answered(suspended, 20)
        suspended.signal(signal.SIGSTOP)
        await until(lambda: _has(other, 4), "the other worker has all partitions")
        await until(lambda: _all_committed(topics, 600), "the other worker commits everything")
        assigned = len(suspended.events("assigned"))
        suspended.signal(signal.SIGCONT)
        await until(lambda: len(suspended.events("assigned")) > assigned, "the worker has rejoined")
        await until(lambda: _has(suspended, 2) and _has(other, 2), "each has two partitions again")
        answered = await suspended.metric("qa_answers_total")
        await topics.send([event(n) for n in range(600, 800)], key=None)
        await until(lambda: _all_committed(topics, 800), "everything is committed")
        assert await suspended.metric("qa_answers_total") > answered
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(800))


async def test_worker_survives_a_broker_restart(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka()
    async with Topics(kafka.bootstrap_servers) as topics:
        await topics.create()
        await topics.send([event(n) for n in range(200)], key=None)
        async with WorkerProcess(topics.environment) as worker:
            await _answered(worker, 20)
            await asyncio.to_thread(kafka.kill)
            await until(
                lambda: bool(worker.events("broker_contact_lost")), "the worker has noticed"
            )
            status, _ = await worker.get("/healthz")
            assert status == 200, "a restart does not bring the brokers back"
            await asyncio.to_thread(kafka.restart)
            await topics.send([event(n) for n in range(200, 300)], key=None)
            await until(lambda: _all_committed(topics, 300), "everything is committed")
            worker.signal(signal.SIGTERM)
            assert await worker.ended() == 0
        assert set(await topics.ids()) == {f"q-{n}" for n in range(300)}


async def test_outage_ends_the_worker_and_names_the_setting(
    start_apache_kafka: StartApacheKafka,
) -> None:
    kafka = start_apache_kafka()
    async with Topics(kafka.bootstrap_servers, {"QA_OUTAGE_SECONDS": "6"}) as topics:
        await topics.create()
        async with WorkerProcess(topics.environment) as worker:
            await asyncio.to_thread(kafka.kill)
            assert await worker.ended() == 1
            last = worker.output.strip().splitlines()[-1]
            assert last.startswith("qa-worker: no broker has answered for")
            assert "QA_OUTAGE_SECONDS" in last


async def test_probes_and_metrics_of_a_worker_process(topics: Topics) -> None:
    await topics.send([event(0), b"{", event(2)], partition=0)
    async with WorkerProcess(topics.environment) as worker:
        await until(lambda: _all_committed(topics, 3), "everything is committed")
        assert (await worker.get("/healthz"))[0] == 200
        assert (await worker.get("/readyz"))[0] == 200
        assert await worker.metric("qa_consumed_records_total") == 3
        assert await worker.metric("qa_answers_total") == 2
        assert await worker.metric("qa_rejections_total") == 1
        assert await worker.metric("qa_windows_total") == 2
        assert await worker.metric("qa_in_flight_records") == 0
        assert await worker.metric("qa_assigned_partitions") == topics.partitions
        assert await worker.metric("qa_ready") == 1
        assert time.time() - await worker.metric("qa_last_broker_contact_timestamp_seconds") < 30
        assert await worker.metric("qa_end_to_end_latency_seconds_count") == 3
        assert 0 < await worker.metric("qa_end_to_end_latency_seconds_sum") < 3 * 60
        _, page = await worker.get("/metrics")
        # Every reason has a sample from the start, so that rate() counts its first rejection.
        assert page.count("\nqa_rejections_total{") == len(Reason)
        (rejected,) = worker.events("rejected")
        assert rejected["topic"] == topics.settings.qa.questions_topic
        assert (rejected["partition"], rejected["offset"]) == (0, 1)
        assert rejected["reason"] == "not_json"
        assert rejected["id"] == f"{rejected['topic']}-0-1"


class _Sender:
    """Sends until `enough` is set, and never lets a backlog of more than BACKLOG grow."""

    def __init__(self, topics: Topics) -> None:
        self.enough = asyncio.Event()
        self._topics = topics

    async def run(self) -> int:
        sent = 0
        while not self.enough.is_set():
            if sent - await _committed(self._topics) < BACKLOG:
                await self._topics.send([event(n) for n in range(sent, sent + 12)], key=None)
                sent += 12
            await asyncio.sleep(0.1)
        return sent


async def _answered(worker: WorkerProcess, count: int) -> None:
    async def enough() -> bool:
        return await worker.metric("qa_answers_total") >= count

    await until(enough, f"{count} answers of this worker")


def _has(worker: WorkerProcess, partitions: int) -> bool:
    return len(worker.events("assigned")[-1]["partitions"]) == partitions


async def _records(worker: WorkerProcess, count: int) -> bool:
    return await worker.metric("qa_consumed_records_total") >= count


async def _all_committed(topics: Topics, count: int) -> bool:
    return await _committed(topics) == count


async def _committed(topics: Topics) -> int:
    """Committed records of all partitions."""
    return sum(offset or 0 for offset in (await topics.committed()).values())
