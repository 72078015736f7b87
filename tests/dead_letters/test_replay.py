"""Replays publish each dead letter's question once, unchanged, up to the maximum of attempts."""

import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.partitioner import DefaultPartitioner

from schemas.rejection import Header, Reason
from tests.brokers.protocol import Broker
from tests.dead_letters.records import NOW, dead_letter, post, questions, replay, replays
from tests.streaming.conftest import Running
from tests.streaming.question_topics import two_topics
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka.errors import StreamingError
from worker.kafka.topic_reader import TopicReader


async def test_replayed_question_is_answered_after_settings_change(
    topics: Topics, running: Running
) -> None:
    headers: list[Header] = [("ce_specversion", b"1.0"), ("ce_id", b"ce-7"), ("traceparent", b"t")]
    long = event(1, metadata={"fill": "x" * 1_000})
    (sent,) = await topics.send([long], key=b"key", partition=0, headers=headers)
    async with running(topics.with_(QA_MAX_RECORD_BYTES="900"), StubEngine()):
        await topics.committed_are({0: 1, 1: 0})
    (rejected,) = await topics.dead_letters()
    assert dict(rejected.headers)["qa.reason"] == b"record_too_large"
    done = await replay(topics)
    async with running(topics.settings, StubEngine()):
        await until(lambda: topics.has(1), "the answer")
    (answer,) = await topics.answers()
    assert (answer.key, dict(answer.headers)["traceparent"]) == (b"key", b"t")
    assert dict(answer.headers)["ce_specversion"] == b"1.0"
    _, again = sorted(await questions(topics), key=lambda record: record.timestamp)
    assert (again.key, again.value) == (sent.topic and b"key", long)
    at = f"{rejected.topic}-{rejected.partition}-{rejected.offset}".encode()
    assert list(again.headers) == [*headers, ("qa.attempt", b"1"), ("qa.replay.of", at)]
    assert done == [f"{rejected.partition}:{rejected.offset} to {again.partition}"]
    assert json.loads(answer.value)["source"]["offset"] == again.offset


async def test_replayed_question_is_answered_where_it_asked(
    topics: Topics, running: Running
) -> None:
    answers = topics.settings.qa.answers_topic
    # Without a key, and without these headers, the answer would be in partition 0.
    headers: list[Header] = [
        ("kafka_replyTopic", answers.encode()),
        ("kafka_replyPartition", b"\0\0\0\1"),
    ]
    await topics.send([event(1)], key=None, partition=0, headers=headers)
    async with running(topics.with_(QA_REPLY_TOPICS="other-*"), StubEngine()):
        await topics.committed_are({0: 1, 1: 0})
    (rejected,) = await topics.dead_letters()
    assert dict(rejected.headers)["qa.reason"] == b"reply_not_allowed"
    await replay(topics)
    async with running(topics.with_(QA_REPLY_TOPICS=answers), StubEngine()):
        await until(lambda: topics.has(1), "the answer")
    (answer,) = await topics.answers()
    assert answer.partition == 1


async def test_question_that_always_fails_reaches_max_attempts(
    topics: Topics, running: Running
) -> None:
    await topics.send([b"{"], partition=0)
    done: list[list[str]] = []
    async with running(topics.settings, StubEngine()):
        for rounds in range(1, 6):
            there = min(rounds, 4)

            async def rejected(there: int = there) -> bool:
                return len(await topics.dead_letters()) == there

            await until(rejected, f"{there} dead letters")
            done.append([each.split(" ", 1)[1] for each in await replay(topics)])
    sent = done[0][0]
    assert sent.startswith("to ")
    assert done == [
        [sent],
        ["already replayed", sent],
        ["already replayed"] * 2 + [sent],
        ["already replayed"] * 3 + ["max attempts reached"],
        ["already replayed"] * 3 + ["max attempts reached"],
    ]
    attempts = [dict(each.headers).get("qa.attempt") for each in await topics.dead_letters()]
    assert attempts == [None, b"1", b"2", b"3"]


async def test_replay_skips_what_was_replayed_unless_again(topics: Topics) -> None:
    await post(topics, *[dead_letter(topics, b"%d" % n) for n in range(3)])
    # One at a time.
    assert [len(await replays(topics)) for _ in range(3) if await replay(topics, limit=1)] == [
        1,
        2,
        3,
    ]
    await replay(topics)
    name = topics.settings.qa.dead_letters_topic
    assert await replays(topics) == [f"{name}-0-{n}" for n in range(3)]
    await replay(topics, DeadLetterFilter(partition=0, first=1, last=1), again=True)
    assert (await replays(topics))[3:] == [f"{name}-0-1"]


async def test_earlier_replay_is_found_despite_clock_skew(topics: Topics) -> None:
    # The clock of the dead letter's producer is half an hour ahead of the replay's.
    await post(topics, dead_letter(topics), timestamps=[NOW])
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        await producer.send_and_wait(
            topics.settings.qa.questions_topic,
            b"v",
            headers=[("qa.replay.of", f"{topics.settings.qa.dead_letters_topic}-0-0".encode())],
            timestamp_ms=NOW - 1_800_000,
        )
    assert await replay(topics) == ["0:0 already replayed"]


async def test_a_question_returns_to_the_topic_from_which_it_came(broker: Broker) -> None:
    async with two_topics(broker.bootstrap_servers) as (first, second):
        names = [topics.settings.qa.questions_topic for topics in (first, second)]
        letters = [dead_letter(first, topic=name) for name in (*names, "other")]
        await post(first, *letters)
        expected = [
            "0:0 to 0",
            f"0:1 to {names[1]} 0",
            "0:2 its topic is not in QA_QUESTIONS_TOPICS",
        ]
        assert await replay(first, dry_run=True) == expected
        assert sorted(await replay(first)) == expected
        # What was replayed is found in both topics.
        assert [each.split(" ", 1)[1] for each in await replay(first)] == [
            "already replayed",
            "already replayed",
            "its topic is not in QA_QUESTIONS_TOPICS",
        ]
        for topics in (first, second):
            (record,) = await questions(topics)
            assert record.topic == topics.settings.qa.questions_topic
        # One questions topic takes them all: that of the dead letters may have been renamed.
        await replay(second, again=True)
        assert len(await questions(second)) == 4


async def test_dry_run_reports_the_same_and_sends_nothing(topics: Topics) -> None:
    poison = dead_letter(topics, headers=[("qa.attempt", b"3")])
    await post(topics, dead_letter(topics), poison, dead_letter(topics, key=None, question=(1, 5)))
    said = await replay(topics, dry_run=True)
    assert await questions(topics) == []
    assert said[1:] == ["0:1 max attempts reached", "0:2 to 1"]
    # Results are reported when their transaction is committed.
    assert sorted(await replay(topics)) == said


async def test_target_partition_by_key_or_source_partition(
    topics: Topics,
) -> None:
    await post(topics, *[dead_letter(topics, key=b"k%d" % n, question=(0, n)) for n in range(8)])
    await post(topics, dead_letter(topics, key=None, question=(1, 9)), partition=1)
    await post(topics, dead_letter(topics, None, key=None, question=(4, 9)), partition=1)
    await replay(topics)
    # aiokafka's own default is what the Java client does.
    default = DefaultPartitioner()
    found = await questions(topics)
    keyed = [record for record in found if record.key is not None]
    assert [record.partition for record in keyed] == [
        default(record.key, [0, 1], [0, 1]) for record in keyed
    ]
    assert {record.partition for record in keyed} == {0, 1}
    keyless = {record.partition: record.value for record in found if record.key is None}
    assert keyless == {0: None, 1: b"v"}


async def test_omitted_value_is_read_from_the_question(
    topics: Topics,
) -> None:
    large = b"x" * 3_000
    await topics.send([b"other", large, b"y" * 3_000, b"{"], partition=1, key=b"k")
    name = topics.settings.qa.questions_topic
    await post(
        topics,
        dead_letter(topics, large, question=(1, 1), shrunk=1),
        # Another record at that offset, or none.
        dead_letter(topics, large, question=(1, 0), shrunk=1),
        dead_letter(topics, large, question=(1, 2), key=b"another", shrunk=1),
        dead_letter(topics, large, question=(1, 99), shrunk=1),
        dead_letter(topics, large, question=(7, 1), shrunk=1),
        dead_letter(topics, b"z", question=(1, 3)),
    )
    gone = "value no longer available"
    done = await replay(topics)
    assert sorted(done)[1:5] == [f"0:{offset} {gone}" for offset in (1, 2, 3, 4)]
    again = [r for r in await questions(topics) if "qa.replay.of" in dict(r.headers)]
    assert [r.value for r in again] == [large, b"z"]
    assert all("qa.value.omitted" not in dict(r.headers) for r in again)
    # Deleted by retention.
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(name, 1): RecordsToDelete(before_offset=3)})
    finally:
        await admin.close()
    assert await replay(topics, DeadLetterFilter(partition=0, first=0, last=0), again=True) == [
        f"0:0 {gone}"
    ]


async def test_omitted_value_of_a_missing_topic_is_gone(topics: Topics) -> None:
    elsewhere = Topics(topics.servers, {**topics.environment, "QA_QUESTIONS_TOPIC": "no-such"})
    await post(topics, dead_letter(elsewhere, shrunk=1))
    assert await replay(topics) == ["0:0 value no longer available"]


async def test_too_large_dead_letter_is_skipped_alone(
    topics: Topics,
) -> None:
    # The largest record of the questions topic: two more headers do not fit.
    limit = topics.settings.qa.max_record_bytes + 64 * 1024
    await post(topics, dead_letter(topics, b"x" * limit), dead_letter(topics))
    assert min(await replay(topics)) == "0:0 too large for the questions topic"
    assert await replays(topics) == [f"{topics.settings.qa.dead_letters_topic}-0-1"]


async def test_other_records_are_skipped(topics: Topics) -> None:
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        await producer.send_and_wait(topics.settings.qa.dead_letters_topic, b"spam", partition=0)
    assert await replay(topics) == ["0:0 not a worker's dead letter"]


async def test_reading_applies_the_filter(topics: Topics) -> None:
    reasons = [Reason.SCHEMA, Reason.NOT_JSON, Reason.SCHEMA, Reason.MODEL_FAILED]
    each = [dead_letter(topics, b"%d" % n, reason=reason) for n, reason in enumerate(reasons)]
    # Producers' clocks differ: the third is older than the second.
    await post(topics, *each, timestamps=[NOW, NOW + 2_000, NOW + 1_000, NOW + 3_000])

    async def of(**wanted: Any) -> list[int]:
        found = read_dead_letters(topics.settings, DeadLetterFilter(**wanted), lambda *_: None)
        return [each.position.offset async for each in found]

    assert await of() == [0, 1, 2, 3]
    assert await of(reasons=frozenset({Reason.SCHEMA})) == [0, 2]
    assert await of(since=NOW + 1_000) == [1, 2, 3]
    assert await of(since=NOW + 1_001) == [1, 3]
    assert await of(since=NOW + 3_001) == []
    assert await of(until=NOW + 2_000) == [0, 2]
    assert await of(since=NOW + 1_000, until=NOW + 2_000) == [2]
    assert await of(partition=0, first=1, last=2) == [1, 2]
    assert await of(partition=0, first=3) == [3]
    assert await of(partition=1) == []
    with pytest.raises(StreamingError, match="no partition 2, only 0 to 1"):
        await of(partition=2)


async def test_reading_stops_at_the_end_offsets_of_its_start(topics: Topics) -> None:
    await post(topics, dead_letter(topics), dead_letter(topics))
    name, watched = topics.settings.qa.dead_letters_topic, []
    async with TopicReader.open(topics.settings) as reader:
        ranges = await reader.ranges(name, topics.partitions)
        await post(topics, dead_letter(topics))
        await post(topics, dead_letter(topics), partition=1)
        records = reader.read(ranges, lambda *seen: watched.append(seen))
        assert [(each.partition, each.offset) async for each in records] == [(0, 0), (0, 1)]
    assert watched[-1] == (name, 2, 2)
