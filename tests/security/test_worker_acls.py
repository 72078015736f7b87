"""The ACLs in deploy/security.md for the worker: sufficient, and all needed."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.security.acls import Acl, grant, revoke
from tests.security.documented_acls import documented_acls
from tests.security.secure_broker import USER, SecureBroker
from tests.streaming.conftest import RunningWorker
from tests.streaming.question_topics import two_topics
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.errors import StreamingError
from worker.streaming import session

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]

HEADINGS = {
    "exactly_once": ("run", "run, exactly once"),
    "at_least_once": ("run",),
}
"""Headings of the minimal ACLs in deploy/security.md, by QA_DELIVERY."""
ACL_COUNTS = {"exactly_once": 5, "at_least_once": 4}


@asynccontextmanager
async def _topics(kafka: SecureBroker, delivery: str) -> AsyncIterator[tuple[Topics, list[Acl]]]:
    """Yields new topics, and the documented ACLs, which are granted to the worker's user."""
    async with Topics(
        kafka.bootstrap_servers,
        # A member without the ACL to leave the group is removed after the session timeout.
        {"QA_DELIVERY": delivery, "KAFKA_SESSION_TIMEOUT_MS": "1000"},
    ) as topics:
        await topics.create()
        acls = [
            acl
            for heading in HEADINGS[delivery]
            for acl in documented_acls(heading, topics.settings)
        ]
        await grant(topics.servers, *acls)
        assert len(acls) == ACL_COUNTS[delivery]
        yield topics, acls


@pytest.mark.parametrize("delivery", HEADINGS)
async def test_documented_acls_are_sufficient(kafka: SecureBroker, delivery: str) -> None:
    async with _topics(kafka, delivery) as (topics, _):
        await topics.send([event(n) for n in range(20)], partition=0)
        await topics.send([b"no JSON"], partition=1)

        worker = RunningWorker(topics.with_(**kafka.sasl()), StubEngine())
        await worker.ready()
        await topics.committed_are({0: 20, 1: 1})
        worker.stop.set()
        await worker.task

        assert await topics.ids() == [f"q-{n}" for n in range(20)]
        assert len(await topics.dead_letters()) == 1


async def test_each_questions_topic_needs_its_acls(kafka: SecureBroker) -> None:
    environment = {"KAFKA_SESSION_TIMEOUT_MS": "1000"}
    async with two_topics(kafka.bootstrap_servers, environment) as (first, second):
        acls = [
            acl
            for topics in (first, second)
            for heading in HEADINGS["exactly_once"]
            for acl in documented_acls(heading, topics.settings)
        ]
        await grant(first.servers, *acls)
        for topics in (first, second):
            await topics.send([event(0)], partition=0)
        worker = RunningWorker(first.with_(**kafka.sasl()), StubEngine())
        await worker.ready()
        for topics in (first, second):
            await topics.committed_are({0: 1, 1: 0})
        worker.stop.set()
        await worker.task

        name, group = second.settings.qa.questions_topic, second.settings.kafka.group_id
        prefixes = f"{group}:{first.settings.qa.questions_topic}: or {group}:{name}:"
        for acl, missing in (
            (acls[-1], f"WRITE on transactional ids that begin with {prefixes}"),
            (acls[5], f"READ on topic {name}"),
        ):
            await revoke(first.servers, acl)
            with pytest.raises(StreamingError) as error:
                async with asyncio.timeout(15):
                    await RunningWorker(first.with_(**kafka.sasl()), StubEngine()).task
            assert str(error.value).startswith(f"User:{USER} lacks {missing};")


@pytest.mark.parametrize("delivery", HEADINGS)
async def test_start_without_one_acl_fails_and_names_it(kafka: SecureBroker, delivery: str) -> None:
    async def start(number: int, *, describe: bool) -> None:
        async with _topics(kafka, delivery) as (topics, acls):
            acl = acls[number]
            if describe:
                await grant(topics.servers, acl.describe_only)
            await revoke(topics.servers, acl)
            with pytest.raises(StreamingError) as error:
                async with asyncio.timeout(15):
                    await RunningWorker(topics.with_(**kafka.sasl()), StubEngine()).task
            assert str(error.value).startswith(f"User:{USER} lacks {acl.text};")

    async with asyncio.TaskGroup() as group:
        for number in range(ACL_COUNTS[delivery]):
            group.create_task(start(number, describe=False))
            group.create_task(start(number, describe=True))


@pytest.mark.parametrize("delivery", HEADINGS)
async def test_revoked_acl_stops_the_worker_without_loss(
    kafka: SecureBroker, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A producer without the ACL to write uses the whole timeout.
    monkeypatch.setattr(session, "CLOSE_SECONDS", 1.0)

    async def run(number: int) -> None:
        async with _topics(kafka, delivery) as (topics, acls):
            acl = acls[number]
            settings = topics.with_(**kafka.sasl())
            worker = RunningWorker(settings, StubEngine())
            await worker.ready()
            await topics.send([event(0), event(1)])
            await until(lambda: topics.has(2), "two questions are answered")

            await revoke(topics.servers, acl)
            await topics.send([event(2), event(3), b"no JSON", b"not JSON"])
            with pytest.raises(StreamingError) as error:
                async with asyncio.timeout(15):
                    await worker.task
            assert str(error.value).startswith(f"User:{USER} lacks {acl.text};")

            await grant(topics.servers, acl)
            restarted = RunningWorker(settings, StubEngine())
            await restarted.ready()
            await until(lambda: topics.has(4), "all questions are answered")
            restarted.stop.set()
            await restarted.task
            assert set(await topics.ids()) == {f"q-{n}" for n in range(4)}

    async with asyncio.TaskGroup() as group:
        for number in range(ACL_COUNTS[delivery]):
            group.create_task(run(number))


async def test_the_topic_of_unsure_questions_needs_its_own_acl(kafka: SecureBroker) -> None:
    environment = {"QA_UNSURE_TOPIC": f"unsure-{uuid.uuid4().hex[:8]}", "QA_MIN_SCORE": "1"}
    async with Topics(kafka.bootstrap_servers, environment) as topics:
        await topics.create()
        for heading in HEADINGS["exactly_once"]:
            await grant(topics.servers, *documented_acls(heading, topics.settings))
        settings = topics.with_(**kafka.sasl())
        with pytest.raises(StreamingError) as error:
            await RunningWorker(settings, StubEngine()).task
        missing = f"WRITE on topic {environment['QA_UNSURE_TOPIC']}"
        assert str(error.value).startswith(f"User:{USER} lacks {missing};")

        acls = documented_acls("run, with QA_UNSURE_TOPIC=qa.unsure", topics.settings)
        await grant(topics.servers, *acls)
        await topics.send([event(0)], partition=0)
        worker = RunningWorker(settings, StubEngine())
        await worker.ready()
        await topics.committed_are({0: 1, 1: 0})
        worker.stop.set()
        await worker.task
        assert len(await topics.records(environment["QA_UNSURE_TOPIC"])) == 1
