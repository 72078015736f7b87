"""Replies on a real broker, in both deliveries. `test_reply_outputs.py` has each rule."""

import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import REGISTRY

from schemas.rejection import Header
from tests.forked import Forked
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topic_configs import configure
from tests.streaming.topics import Topics, event, until
from worker.kafka import foreign_topics

CORRELATION: Header = ("kafka_correlationId", b"\0\1\xfe\xff")
NO_JSON = b"["


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def admin(topics: Topics) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@pytest.fixture
async def replies(topics: Topics) -> str:
    """A topic of two partitions, beside the worker's own; its name begins with theirs."""
    name = f"{topics.settings.qa.answers_topic}-replies-1"
    topics.environment["QA_REPLY_TOPICS"] = f"{topics.settings.qa.answers_topic}-replies-*"
    async with admin(topics) as client:
        await client.create_topics([NewTopic(name, 2, 1)])

        async def described() -> bool:
            found = await client.describe_topics([name])
            return not found[0]["error_code"] and len(found[0]["partitions"]) == 2

        await until(described, "the broker describes the topic")
    return name


async def names(topics: Topics) -> set[str]:
    async with admin(topics) as client:
        return set(await client.list_topics())


async def read(topics: Topics, topic: str, count: int = 0) -> list[Any]:
    """The committed records of a topic of two partitions; waits for `count` of them."""
    async with AIOKafkaConsumer(
        bootstrap_servers=topics.servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(partitions)
        found: list[Any] = []

        async def enough() -> bool:
            polled = await consumer.getmany(timeout_ms=100)
            found.extend(record for records in polled.values() for record in records)
            return len(found) >= count

        await until(enough, f"{count} records in {topic}")
        return found


def to(topic: str, partition: int | None = None) -> list[Header]:
    headers: list[Header] = [("kafka_replyTopic", topic.encode()), CORRELATION]
    if partition is not None:
        headers.append(("kafka_replyPartition", partition.to_bytes(4, "big")))
    return headers


def restarts() -> float:
    counted = ("qa_session_failures_total", "qa_partition_restarts_total")
    return sum(REGISTRY.get_sample_value(name) or 0.0 for name in counted)


def reasons(dead_letters: Sequence[Any]) -> list[str]:
    return [dict(each.headers)["qa.reason"].decode() for each in dead_letters]


def outcomes() -> dict[str, float]:
    kinds = ("answer", "error", "dropped", "not_allowed", "unknown")
    return {
        kind: REGISTRY.get_sample_value("qa_replies_total", {"outcome": kind}) or 0.0
        for kind in kinds
    }


async def test_answers_and_error_replies_go_where_questions_ask(
    topics: Topics, running: Running, replies: str
) -> None:
    unknown = f"{replies}-unknown"
    before, counted = restarts(), outcomes()
    async with running(topics.settings, StubEngine()):
        await topics.send([event(0)], headers=to(replies, 1), partition=0)
        await topics.send([event(1)], headers=[("reply_to", replies.encode())], partition=0)
        await topics.send([NO_JSON], headers=to(replies, 0), partition=0)
        await topics.send([event(3)], headers=to("other"), partition=0)
        await topics.send([event(4)], headers=to(unknown), partition=0)
        await topics.send([event(5)], headers=to(replies, 2), partition=0)
        await topics.send([event(6)], partition=0)
        await topics.committed_are({0: 7, 1: 0})
    assert restarts() == before
    assert await topics.ids() == ["q-6"]
    dead_letters = await topics.dead_letters()
    assert reasons(dead_letters) == [
        "not_json",
        "reply_not_allowed",
        "reply_unknown",
        "reply_unknown",
    ]
    # The next worker, or a replay, finds the address again.
    assert list(dead_letters[0].headers)[:3] == to(replies, 0)
    found = {json.loads(each.value)["id"]: each for each in await read(topics, replies, 3)}
    assert set(found) == {"q-0", "q-1", f"{topics.settings.qa.questions_topic}-0-2"}
    answer, error = found["q-0"], found[f"{topics.settings.qa.questions_topic}-0-2"]
    assert (answer.partition, answer.key, dict(answer.headers)[CORRELATION[0]]) == (
        1,
        b"k",
        CORRELATION[1],
    )
    assert (error.partition, json.loads(error.value)["error"]["reason"]) == (0, "not_json")
    assert dict(error.headers)[CORRELATION[0]] == CORRELATION[1]
    assert {"other", unknown} & await names(topics) == set()
    after = outcomes()
    assert {kind: after[kind] - counted[kind] for kind in after} == {
        "answer": 2,
        "error": 1,
        "dropped": 0,
        "not_allowed": 1,
        "unknown": 2,
    }


async def test_a_topic_deleted_meanwhile_is_unknown_and_delays_no_other(
    topics: Topics, running: Running, replies: str
) -> None:
    before = restarts()
    async with running(topics.settings, StubEngine()):
        await topics.send([event(0)], headers=to(replies), partition=0)
        await topics.committed_are({0: 1, 1: 0})
        async with admin(topics) as client:
            await client.delete_topics([replies])

            async def gone() -> bool:
                return replies not in await client.list_topics()

            await until(gone, "the topic is deleted")
        await topics.send([event(1), NO_JSON], headers=to(replies), partition=0)
        await topics.send([event(n) for n in range(2, 5)], partition=0)
        await topics.committed_are({0: 6, 1: 0})
    assert restarts() == before
    assert await topics.ids() == ["q-2", "q-3", "q-4"]
    assert sorted(reasons(await topics.dead_letters())) == ["not_json", "reply_unknown"]
    assert replies not in await names(topics)


async def test_a_limit_that_is_not_known_leads_to_an_error_reply(
    topics: Topics, running: Running, replies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_topics, "CONFIGS", ("no.such.property",))
    await configure(topics.servers, replies, max_message_bytes=1_500)
    large = event(1, metadata={"fill": "x" * 2_000})
    before = restarts()
    await topics.send([event(0), large, event(2)], headers=to(replies, 0), partition=0)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 3, 1: 0})
    assert restarts() == before
    assert reasons(await topics.dead_letters()) == ["answer_too_large"]
    found = [json.loads(each.value) for each in await read(topics, replies, 3)]
    assert [each["id"] for each in found] == ["q-0", "q-1", "q-2"]
    assert [each.get("error", {}).get("reason") for each in found] == [
        None,
        "answer_too_large",
        None,
    ]


async def test_a_created_topic_is_answered_to_after_it_was_unknown(
    topics: Topics, running: Running, replies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_topics, "PROBLEM_SECONDS", 0.0)
    later = f"{replies}-later"
    async with running(topics.settings, StubEngine()):
        await topics.send([event(0)], headers=to(later), partition=0)
        await topics.committed_are({0: 1, 1: 0})
        async with admin(topics) as client:
            await client.create_topics([NewTopic(later, 2, 1)])
        await topics.send([event(1)], headers=to(later), partition=0)
        await topics.committed_are({0: 2, 1: 0})
    assert reasons(await topics.dead_letters()) == ["reply_unknown"]
    assert [json.loads(each.value)["id"] for each in await read(topics, later, 1)] == ["q-1"]


@pytest.mark.process
@pytest.mark.parametrize(
    "point", ["partitions_added", "produce_sent", "produced", "offsets_committed", "end_sent"]
)
@pytest.mark.parametrize("delivery", ["exactly_once"], indirect=True)
async def test_a_killed_worker_leaves_answer_and_reply_both_or_neither(
    topics: Topics, running: Running, replies: str, tmp_path: Path, point: str
) -> None:
    topics.environment |= {"QA_REPLY_ALSO": "true", "QA_COMMIT_RECORDS": "10"}
    topics.environment["KAFKA_SESSION_TIMEOUT_MS"] = "1000"  # of the killed member
    count = 60
    values = [event(n) if n % 6 else NO_JSON for n in range(count)]
    await topics.send(values, headers=to(replies, 0), partition=0)
    own = {"FAULTS_ENGINE": "stub", "FAULTS_FAILPOINT": f"{point}:5:SIGKILL"}
    with (tmp_path / "log").open("wb") as log:
        environment = {**os.environ, **topics.environment, **own}
        dying = Forked(
            "tests.faults.faulty_worker", environment=environment, output=log, errors=log
        )
    await until(lambda: dying.poll() is not None, "the worker dies")
    assert dying.returncode == -signal.SIGKILL
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: count, 1: 0})
    expected = [f"q-{n}" for n in range(count) if n % 6]
    assert await topics.ids() == expected
    assert len(await topics.dead_letters()) == count / 6
    found = [json.loads(each.value) for each in await read(topics, replies, count)]
    assert [each["id"] for each in found if "answer" in each] == expected
    assert len(found) == count
