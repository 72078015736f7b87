"""Metadata of foreign topics: how often the brokers are asked, and what is remembered."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import LeaderNotAvailableError

from tests.kafka.described_topics import MAX_AGE, ONLY_DESCRIBE, Brokers
from worker.kafka import foreign_topics
from worker.kafka.foreign_topics import (
    LEADER_SECONDS,
    MAX_TOPICS,
    PROBLEM_SECONDS,
    REQUEST_TOPICS,
    ForeignTopicError,
)


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    monkeypatch.setattr(foreign_topics, "CONFIRM_SECONDS", 0.0)
    return Brokers()


async def test_all_that_wait_share_requests(brokers: Brokers) -> None:
    brokers.leaders = {f"t-{n}": [1] for n in range(REQUEST_TOPICS + 50)}
    names = [*brokers.leaders, *brokers.leaders]
    found = await asyncio.gather(*(brokers.topics.find(name) for name in names))
    assert [each.name for each in found] == names
    assert [len(names) for names in brokers.asked] == [REQUEST_TOPICS, 50]
    await brokers.topics.find("t-0")
    assert len(brokers.asked) == 2


async def test_a_topic_is_looked_up_again_when_it_is_old_or_forgotten(brokers: Brokers) -> None:
    brokers.leaders = {"t": [1, 2]}
    assert (await brokers.topics.find("t")).leaders == (1, 2)
    brokers.leaders = {"t": [3, 2]}
    brokers.now = MAX_AGE - 1
    assert (await brokers.topics.find("t")).leaders == (1, 2)
    assert brokers.topics.known_leader(TopicPartition("t", 0)) == 1
    brokers.now = MAX_AGE
    assert (await brokers.topics.find("t")).leaders == (3, 2)
    brokers.topics.forget("t")
    await brokers.topics.find("t")
    assert len(brokers.asked) == 3


async def test_a_topic_that_does_not_exist_is_remembered_for_seconds(brokers: Brokers) -> None:
    found = await brokers.topics.find("t")
    assert found.problem_with(None) == "topic t: it does not exist"
    assert brokers.asked == [["t"], ["t"]]  # a broker's metadata may be behind
    brokers.leaders = {"t": [1]}
    assert (await brokers.topics.find("t")).problem
    brokers.now = PROBLEM_SECONDS
    assert not (await brokers.topics.find("t")).problem


async def test_a_new_partition_is_known_after_seconds(brokers: Brokers) -> None:
    brokers.leaders = {"t": [1]}
    found = await brokers.topics.find("t", 1)
    assert found.problem_with(1) == "topic t has no partition 1; its last is 0"
    brokers.leaders = {"t": [1, 1]}
    assert (await brokers.topics.find("t", 1)).problem_with(1)
    brokers.now = PROBLEM_SECONDS
    assert not (await brokers.topics.find("t", 1)).problem_with(1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"codes": {"t": 29}}, "no right to write"),
        ({"codes": {"t": 17}}, "its name is not valid"),
        ({"operations": ONLY_DESCRIBE}, "no right to write"),
        ({"internal": True}, "internal to Kafka"),
        ({"leaders": {"t": []}, "codes": {"t": 5}}, "error code 5"),
    ],
)
async def test_why_a_topic_cannot_be_written_to(
    brokers: Brokers, change: dict[str, Any], problem: str
) -> None:
    brokers.leaders = {"t": [1]}
    for name, value in change.items():
        setattr(brokers, name, value)
    assert problem in (await brokers.topics.find("t")).problem_with(0)


async def test_limits_are_kafkas_default_where_they_may_not_be_read(brokers: Brokers) -> None:
    brokers.leaders = {"known": [1], "not": [1]}
    brokers.configs = {"known": {"max.message.bytes": "77", "cleanup.policy": "compact,delete"}}
    known, other = await brokers.topics.find("known"), await brokers.topics.find("not")
    assert (known.max_message_bytes, known.compacted) == (77, True)
    assert (other.max_message_bytes, other.compacted) == (1_048_588, False)


async def test_a_flood_of_wrong_names_is_bounded_and_displaces_no_topic(brokers: Brokers) -> None:
    brokers.leaders = {"t": [1]}
    await brokers.topics.find("t")
    count = 2 * MAX_TOPICS
    await asyncio.gather(*(brokers.topics.find(f"wrong-{n}") for n in range(count)))
    assert len(brokers.topics._problems) == MAX_TOPICS
    requests = len(brokers.asked)
    assert requests == 1 + 2 * count / REQUEST_TOPICS
    await brokers.topics.find("t")
    assert len(brokers.asked) == requests


async def test_topics_are_bounded_too(brokers: Brokers) -> None:
    brokers.leaders = {f"t-{n}": [1] for n in range(MAX_TOPICS + 10)}
    await asyncio.gather(*(brokers.topics.find(name) for name in brokers.leaders))
    assert len(brokers.topics._topics) == MAX_TOPICS


async def test_a_partition_without_leader_is_waited_for_then_a_problem(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_topics, "LEADER_PAUSE_SECONDS", 0.0)
    brokers.leaders = {"t": [1, -1]}
    missing = TopicPartition("t", 1)
    assert await brokers.topics.leader(TopicPartition("t", 0)) == 1
    with pytest.raises(LeaderNotAvailableError):
        await brokers.topics.leader(missing)
    brokers.now = LEADER_SECONDS
    for _ in range(2):  # the second is not waited for
        with pytest.raises(ForeignTopicError, match="topic t: partition 1 has no leader"):
            await brokers.topics.leader(missing)
    assert (await brokers.topics.find("t", 1)).problem == "partition 1 has no leader"
    # The others go on.
    assert not (await brokers.topics.find("t")).problem
    assert await brokers.topics.leader(TopicPartition("t", 0)) == 1
    brokers.leaders = {"t": [1, 2]}
    brokers.now += PROBLEM_SECONDS
    assert await brokers.topics.wait_for_leader(missing) == ""


async def test_a_partition_with_too_few_replicas_has_no_leader(brokers: Brokers) -> None:
    brokers.leaders = {"t": [1], "other": [1]}
    brokers.configs = {"t": {"min.insync.replicas": "2"}, "other": {"min.insync.replicas": "5"}}
    assert (await brokers.topics.find("t")).leaders == (1,)
    brokers.in_sync = [1]
    brokers.now = MAX_AGE
    assert (await brokers.topics.find("t")).leaders == (-1,)
    brokers.in_sync = [1, 2, 3]
    assert (await brokers.topics.find("other")).leaders == (1,)


async def test_a_failed_request_fails_those_that_wait_and_no_later_one(brokers: Brokers) -> None:
    send, brokers.topics._send = brokers.topics._send, _fail
    with pytest.raises(OSError, match="gone"):
        await brokers.topics.find("t")
    brokers.topics._send = send
    assert (await brokers.topics.find("t")).problem


async def test_a_cancelled_wait_disturbs_no_other(brokers: Brokers) -> None:
    brokers.leaders = {"t": [1]}
    first = asyncio.create_task(brokers.topics.find("t"))
    second = asyncio.create_task(brokers.topics.find("t"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).leaders == (1,)
    await brokers.topics.close()


async def _fail(_: Any) -> Any:
    raise OSError("gone")
