"""Worker processes while the schema registry is away, on Apache Kafka with the real model."""

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.schema_registry import framed_values as framed
from tests.schema_registry.faulty_registry import Fault, FaultyRegistry, faulty_registry
from tests.schema_registry.outages import PROGRAM
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess

pytestmark = pytest.mark.process


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with faulty_registry() as registry:
        yield registry


def environment(topics: Topics, registry: FaultyRegistry, **more: str) -> dict[str, str]:
    return {
        **topics.environment,
        "SCHEMA_REGISTRY_URL": registry.url,
        "SCHEMA_REGISTRY_REQUEST_TIMEOUT_MS": "500",
        **more,
    }


async def test_waiting_is_no_stall_and_keeps_the_membership(
    topics: Topics, registry: FaultyRegistry
) -> None:
    short = {"QA_STALL_SECONDS": "2", "KAFKA_MAX_POLL_INTERVAL_MS": "3000"}
    short["KAFKA_MAX_POLL_RECORDS"] = "100"
    async with WorkerProcess(environment(topics, registry, **short), PROGRAM) as worker:
        await topics.send([framed.avro(9999)], partition=0)
        await topics.committed_are({0: 1, 1: 0})
        await registry.begin(Fault.ANSWERS_401)
        # Behind the record that waits, of each partition, lies more than may be added or polled.
        new = registry.new_schema()
        for partition in range(2):
            values = [framed.avro(n, new) for n in range(1000 * partition, 1000 * partition + 300)]
            await topics.send(values, partition=partition)
        await until(lambda: _pages_say(worker, "answers 401"), "the probes say why")
        rebalances = await worker.metric("qa_rebalances_total")
        contact = await worker.metric("qa_last_broker_contact_timestamp_seconds")

        async def checked_twice() -> bool:
            last = await worker.metric("qa_last_broker_contact_timestamp_seconds")
            return last >= contact + 9

        await until(checked_twice, "the watchdog has looked, longer than stall and poll interval")
        assert await worker.metric("qa_rebalances_total") == rebalances
        assert await worker.metric("qa_schema_registry_unavailable") == 1
        assert 2 <= await worker.metric("qa_schema_waiting_records") <= 128
        await registry.end()
        await topics.committed_are({0: 301, 1: 300})
        await until(lambda: _says_ok(worker), "the probes say nothing more")
        assert await worker.metric("qa_schema_registry_unavailable") == 0
        assert await worker.metric("qa_schema_waiting_records") == 0
        assert len(worker.events("schema_registry_unavailable")) == 1
        assert len(worker.events("schema_registry_available")) == 1
    assert await topics.dead_letters() == []
    assert len(set(await topics.ids())) == len(await topics.ids()) == 601


async def _pages_say(worker: WorkerProcess, why: str) -> bool:
    pages = [await worker.get(path) for path in ("/healthz", "/readyz")]
    lines = "partition 0 waits for the schema registry: http://127.0.0.1:", why
    return all(status == 200 and all(each in page for each in lines) for status, page in pages)


async def _says_ok(worker: WorkerProcess) -> bool:
    return await worker.get("/healthz") == (200, "ok")


async def test_json_goes_on_and_drains_do_not_wait(
    topics: Topics, registry: FaultyRegistry
) -> None:
    """Also with a worker that starts while the registry is away."""
    await registry.begin(Fault.KILLED)
    new = registry.new_schema()
    settings = environment(topics, registry)
    await topics.send([event(0), framed.avro(1, new), event(2)], partition=0)
    await topics.send([event(n) for n in range(3, 6)], partition=1)
    async with WorkerProcess(settings) as first:
        assert len(first.events("schema_registry_not_reached")) == 1
        await topics.committed_are({0: 1, 1: 3})
        await until(lambda: _waits(first), "the record waits")
        async with WorkerProcess(settings) as second:
            # A rebalance, and the end of the worker that has the waiting record, or of the other.
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0
            await until(lambda: _waits(second), "the record waits at the next owner")
            await topics.send([event(n) for n in range(6, 9)], partition=1)
            await topics.committed_are({0: 1, 1: 6})
            await registry.end()
            await topics.committed_are({0: 3, 1: 6})
            second.signal(signal.SIGTERM)
            assert await second.ended() == 0
            for worker in (first, second):
                assert not worker.events("drain_timed_out")
    assert Counter(await topics.ids()) == Counter(f"q-{n}" for n in range(9))
    assert await topics.dead_letters() == []


async def _waits(worker: WorkerProcess) -> bool:
    return await worker.metric("qa_schema_waiting_records") > 0


@pytest.mark.parametrize("delivery", ["exactly_once"], indirect=True)
async def test_a_registry_that_refuses_the_worker_ends_the_start(
    topics: Topics, registry: FaultyRegistry
) -> None:
    await registry.begin(Fault.ANSWERS_401)
    process = WorkerProcess(environment(topics, registry))
    try:
        assert await process.ended() == 1
        *_, line = process.output.splitlines()
        assert line.startswith(
            f"qa-worker: cannot use the schema registry: {registry.url} answers 401 Error in the "
            f"backend; correct SCHEMA_REGISTRY_URL, the login (SCHEMA_REGISTRY_BASIC_AUTH_USER_"
        )
        assert "Traceback" not in process.output
    finally:
        await process.__aexit__(None, None, None)


@pytest.mark.parametrize("delivery", ["exactly_once"], indirect=True)
async def test_without_a_registry_nothing_of_it_is_loaded(topics: Topics) -> None:
    environment = {**topics.environment, "PYTHONPROFILEIMPORTTIME": "1"}
    async with WorkerProcess(environment, forked=False) as worker:
        await topics.send([event(0), framed.avro(1)], partition=0)
        await topics.committed_are({0: 2, 1: 0})
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        lines = [each for each in worker.output.splitlines() if each.startswith("import time:")]
    loaded = {each.rpartition("|")[2].strip() for each in lines}
    assert "worker.streaming.processor" in loaded
    packages = "worker.schema_registry", "fastavro", "google", "antlr4", "proto_schema_parser"
    assert not [each for each in loaded if each.startswith(packages)]
    (dead_letter,) = await topics.dead_letters()
    assert dict(dead_letter.headers)["qa.reason"] == b"not_json"
    (answer,) = await topics.answers()
    assert json.loads(answer.value)["id"] == "q-0"
