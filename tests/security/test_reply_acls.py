"""Rights to write to the topics that questions name for their replies."""

import asyncio
import json

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.security.acls import Acl, acl, grant, revoke
from tests.security.documented_acls import documented_acls
from tests.security.secure_broker import USER, SecureBroker
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka import foreign_topics
from worker.kafka.errors import StreamingError

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]

DELIVERIES = ["exactly_once", "at_least_once"]


async def reply_topic(topics: Topics) -> tuple[str, list[Acl]]:
    """A new topic, and the documented ACLs for it, which are not granted."""
    prefix = f"{topics.settings.qa.answers_topic}-replies-"
    topics.environment["QA_REPLY_TOPICS"] = f"{prefix}*"
    name = f"{prefix}1"
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1)])
    finally:
        await admin.close()
    return name, documented_acls("run, with QA_REPLY_TOPICS=replies-*", topics.settings)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_question_without_its_reply_topics_acl_is_rejected_alone(
    kafka: SecureBroker, topics: Topics, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_topics, "PROBLEM_SECONDS", 0.0)
    topics.environment["QA_DELIVERY"] = delivery
    name, acls = await reply_topic(topics)
    headers = [("reply_to", name.encode())]
    worker = RunningWorker(topics.with_(**kafka.sasl()), StubEngine())
    await worker.ready()
    await topics.send([event(0)], headers=headers, partition=0)
    await topics.send([event(1)], partition=0)
    await topics.committed_are({0: 2, 1: 0})

    await grant(topics.servers, *acls)
    await topics.send([event(2)], headers=headers, partition=0)
    await topics.committed_are({0: 3, 1: 0})
    assert [json.loads(each.value)["id"] for each in await topics.records(name)] == ["q-2"]

    # The worker knows the topic, so the coordinator or the leader tells.
    await revoke(topics.servers, *acls)
    await topics.send([event(3)], headers=headers, partition=1)
    await topics.send([event(4)], partition=1)
    await until(lambda: topics.has(2), "the question behind it is answered")
    worker.stop.set()
    await worker.task

    assert await topics.ids() == ["q-1", "q-4"]
    assert len(await topics.records(name)) == 1
    reasons = {
        json.loads(each.value)["id"]: dict(each.headers)["qa.reason"]
        for each in await topics.dead_letters()
    }
    assert reasons == {"q-0": b"reply_unknown", "q-3": b"reply_unknown"}


async def test_a_reply_topic_named_in_full_needs_its_acl_at_the_start(
    kafka: SecureBroker, topics: Topics
) -> None:
    name, _ = await reply_topic(topics)
    settings = topics.with_(QA_REPLY_TOPICS=name, **kafka.sasl())
    with pytest.raises(StreamingError, match=f"User:{USER} lacks WRITE on topic {name};"):
        async with asyncio.timeout(15):
            await RunningWorker(settings, StubEngine()).task
    await grant(topics.servers, acl("--topic", name, "Write"))
    worker = RunningWorker(settings, StubEngine())
    await worker.ready()
    worker.stop.set()
    await worker.task
