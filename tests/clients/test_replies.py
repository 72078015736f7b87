"""Clients of others ask and wait for replies, through Apache Kafka and a running worker: Spring's
`ReplyingKafkaTemplate` and FastStream, both as their registries have them.
"""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.brokers.protocol import Broker
from tests.clients.maven import EXAMPLES, java
from tests.clients.test_examples import CONTEXT, run
from tests.schemas.valid import faults, published
from tests.streaming.topics import Topics, until
from tests.tools import tool_file

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.process,
    pytest.mark.tools,
]

Client = Callable[..., list[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(apache_kafka: Broker) -> AsyncIterator[Topics]:
    async with Topics(apache_kafka.bootstrap_servers) as topics:
        topics.environment["QA_REPLY_TOPICS"] = f"{topics.settings.qa.answers_topic}-replies-*"
        await topics.create()
        yield topics


@pytest.fixture(scope="module")
def spring(java_projects: Path) -> Client:
    return lambda *texts: java(java_projects / "spring", "AskWithSpring", *texts)


@pytest.fixture(scope="module")
def faststream() -> Client:
    python = str(tool_file("faststream/bin/python"))
    return lambda *texts: [python, str(EXAMPLES / "faststream" / "ask.py"), *texts]


@pytest.fixture(params=["spring", "faststream"])
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.getfixturevalue(request.param)
    return found


async def created(topics: Topics, name: str) -> str:
    """A new topic of two partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1)])

        async def described() -> bool:
            (found,) = await admin.describe_topics([name])
            return len(found["partitions"]) == 2

        await until(described, "the topic is described")
    finally:
        await admin.close()
    return name


async def asked(
    topics: Topics, client: Client, reply_topic: str, *questions: str, **environment: str
) -> list[str]:
    """The lines that the client prints."""
    topics.environment |= {"REPLY_TOPIC": reply_topic, "REPLY_PARTITION": "", **environment}
    result = await run(client(CONTEXT, *questions), topics)
    assert result.code == 0, result
    return result.out.splitlines()


def correlation(record: Any) -> bytes:
    headers = {name.lower(): text for name, text in record.headers}
    found: bytes = headers.get("kafka_correlationid") or headers["correlation_id"]
    return found


async def test_a_client_gets_answers_and_an_error_reply(
    client: Client, topics: Topics, request: pytest.FixtureRequest
) -> None:
    name = f"{topics.settings.qa.answers_topic}-replies-{request.node.callspec.id}"
    await created(topics, name)
    first, rejected, last = await asked(
        topics, client, name, "Who wrote the report?", " ", "When was it written?"
    )
    answers = [json.loads(line) for line in (first, last)]
    assert [answer["answer"] for answer in answers] == ["Anna Lindqvist", "2019"]
    assert [faults(published("answer"), answer) for answer in answers] == [[], []]
    error = json.loads(rejected.removeprefix("rejected: "))
    assert error["error"] == {"reason": "schema", "detail": "question: is blank"}
    assert faults(published("error-reply"), error) == []
    # Each reply has the correlation id of its question, byte for byte.
    sent = [
        correlation(record)
        for record in await topics.records(topics.settings.qa.questions_topic)
        if name.encode() in dict(record.headers).values()
    ]
    replies = await topics.records(name)
    assert sorted(correlation(record) for record in replies) == sorted(sent)
    assert len(sent) == 3
    # The answers went nowhere else, and the rejected question is a dead letter as ever.
    assert await topics.answers() == []
    (dead_letter,) = [
        record for record in await topics.dead_letters() if correlation(record) in sent
    ]
    assert dict(dead_letter.headers)["qa.reason"] == b"schema"


async def test_a_forbidden_topic_gets_no_reply_and_others_go_on(
    faststream: Client, topics: Topics
) -> None:
    forbidden = f"{topics.settings.qa.answers_topic}-other"
    await created(topics, forbidden)
    before = len(await topics.dead_letters())
    (line,) = await asked(
        topics, faststream, forbidden, "Who wrote the report?", REPLY_TIMEOUT_SECONDS="3"
    )
    assert "no reply" in line
    assert await topics.records(forbidden) == []
    *_, dead_letter = (await topics.dead_letters())[before:]
    headers = dict(dead_letter.headers)
    assert headers["qa.reason"] == b"reply_not_allowed"
    assert forbidden in headers["__connect.errors.exception.message"].decode()


async def test_springs_reply_partition_is_kept(spring: Client, topics: Topics) -> None:
    name = await created(topics, f"{topics.settings.qa.answers_topic}-replies-partitions")
    questions = ("Who wrote the report?", "When was it written?")
    answers = await asked(topics, spring, name, *questions, REPLY_PARTITION="1")
    assert [json.loads(line)["answer"] for line in answers] == ["Anna Lindqvist", "2019"]
    # By their key they would be in partition 0.
    assert [record.partition for record in await topics.records(name)] == [1, 1]
