"""Dead letters go to the questions topic again: each once, unchanged, and not for ever."""

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from schemas.rejection import Header, Reason
from tests.dead_letters.records import NOW, letter, post, questions, replay, replays
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.dead_letters import transaction
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.dead_letters.replay import read_dead_letters
from worker.kafka import topic_reader
from worker.kafka.errors import StreamingError
from worker.kafka.topic_reader import TopicReader
from worker.kafka.transactions import TransactionalProducer


async def test_what_was_rejected_is_answered_once_the_settings_are_put_right(
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


async def test_a_question_that_fails_each_time_is_left_alone_in_the_end(
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


async def test_what_was_replayed_is_not_replayed_again_unless_asked_for(topics: Topics) -> None:
    await post(topics, *[letter(topics, b"%d" % n) for n in range(3)])
    # One at a time, the next one each time.
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


async def test_a_replay_whose_letter_bears_a_later_time_is_seen(topics: Topics) -> None:
    # The clocks of two machines: the letter's is half an hour ahead of the replay's.
    await post(topics, letter(topics), timestamps=[NOW])
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        await producer.send_and_wait(
            topics.settings.qa.questions_topic,
            b"v",
            headers=[("qa.replay.of", f"{topics.settings.qa.dead_letters_topic}-0-0".encode())],
            timestamp_ms=NOW - 1_800_000,
        )
    assert await replay(topics) == ["0:0 already replayed"]


async def test_a_dry_run_says_the_same_and_sends_nothing(topics: Topics) -> None:
    poison = letter(topics, headers=[("qa.attempt", b"3")])
    await post(topics, letter(topics), poison, letter(topics, key=None, question=(1, 5)))
    said = await replay(topics, dry_run=True)
    assert await questions(topics) == []
    assert said[1:] == ["0:1 max attempts reached", "0:2 to 1"]
    # Sent ones are told when their transaction is through.
    assert sorted(await replay(topics)) == said


async def test_letters_go_where_their_key_says_and_without_one_where_they_were(
    topics: Topics,
) -> None:
    await post(topics, *[letter(topics, key=b"k%d" % n, question=(0, n)) for n in range(8)])
    await post(topics, letter(topics, key=None, question=(1, 9)), partition=1)
    await post(topics, letter(topics, None, key=None, question=(4, 9)), partition=1)
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


async def test_a_value_that_was_left_out_is_fetched_where_the_question_lies(
    topics: Topics,
) -> None:
    large = b"x" * 3_000
    await topics.send([b"other", large, b"y" * 3_000, b"{"], partition=1, key=b"k")
    name = topics.settings.qa.questions_topic
    await post(
        topics,
        letter(topics, large, question=(1, 1), omitted=True),
        # Of each: not what the letter speaks of.
        letter(topics, large, question=(1, 0), omitted=True),
        letter(topics, large, question=(1, 2), key=b"another", omitted=True),
        letter(topics, large, question=(1, 99), omitted=True),
        letter(topics, large, question=(7, 1), omitted=True),
        letter(topics, b"z", question=(1, 3)),
    )
    gone = "value no longer available"
    done = await replay(topics)
    assert sorted(done)[1:5] == [f"0:{offset} {gone}" for offset in (1, 2, 3, 4)]
    again = [r for r in await questions(topics) if "qa.replay.of" in dict(r.headers)]
    assert [r.value for r in again] == [large, b"z"]
    assert all("qa.value.omitted" not in dict(r.headers) for r in again)
    # What retention has taken away.
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(name, 1): RecordsToDelete(before_offset=3)})
    finally:
        await admin.close()
    assert await replay(topics, DeadLetterFilter(partition=0, first=0, last=0), again=True) == [
        f"0:0 {gone}"
    ]


async def test_a_value_on_a_topic_that_is_not_there_is_gone(topics: Topics) -> None:
    elsewhere = Topics(topics.servers, {**topics.environment, "QA_QUESTIONS_TOPIC": "no-such"})
    await post(topics, letter(elsewhere, omitted=True))
    assert await replay(topics) == ["0:0 value no longer available"]


async def test_a_letter_too_large_for_the_questions_topic_holds_up_no_other(
    topics: Topics,
) -> None:
    # The largest record that the questions topic takes; it has no room for two headers more.
    limit = topics.settings.qa.max_record_bytes + 64 * 1024
    await post(topics, letter(topics, b"x" * limit), letter(topics))
    assert min(await replay(topics)) == "0:0 too large for the questions topic"
    assert await replays(topics) == [f"{topics.settings.qa.dead_letters_topic}-0-1"]


async def test_records_that_are_no_dead_letters_are_not_sent(topics: Topics) -> None:
    async with AIOKafkaProducer(bootstrap_servers=topics.servers) as producer:
        await producer.send_and_wait(topics.settings.qa.dead_letters_topic, b"spam", partition=0)
    assert await replay(topics) == ["0:0 not a worker's dead letter"]


async def test_only_letters_that_the_filter_takes_are_sent(topics: Topics) -> None:
    reasons = [Reason.SCHEMA, Reason.NOT_JSON, Reason.SCHEMA, Reason.MODEL_FAILED]
    each = [letter(topics, b"%d" % n, reason=reason) for n, reason in enumerate(reasons)]
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


async def test_what_comes_after_a_reading_began_is_not_read(topics: Topics) -> None:
    await post(topics, letter(topics), letter(topics))
    name, watched = topics.settings.qa.dead_letters_topic, []
    async with TopicReader.open(topics.settings.kafka) as reader:
        ranges = await reader.ranges(name, topics.partitions)
        await post(topics, letter(topics))
        await post(topics, letter(topics), partition=1)
        records = reader.read(ranges, lambda *seen: watched.append(seen))
        assert [(each.partition, each.offset) async for each in records] == [(0, 0), (0, 1)]
    assert watched[-1] == (name, 2, 2)


async def test_a_replay_that_fails_has_sent_nothing_of_its_transaction(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(topics, *[letter(topics, b"%d" % n) for n in range(4)])
    monkeypatch.setattr(transaction, "TRANSACTION_RECORDS", 2)
    end, calls = TransactionalProducer._end, 0

    async def fail_once(producer: TransactionalProducer) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KafkaError("refused")
        await end(producer)

    monkeypatch.setattr(TransactionalProducer, "_end", fail_once)
    with pytest.raises(
        StreamingError, match=r"^the replay failed after 2 dead letters: .*refused; run it again"
    ):
        await replay(topics)
    name = topics.settings.qa.dead_letters_topic
    assert await replays(topics) == [f"{name}-0-{n}" for n in range(2)]
    await replay(topics)
    assert await replays(topics) == [f"{name}-0-{n}" for n in range(4)]


async def test_a_second_replay_ends_the_first_and_nothing_goes_out_twice(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(topics, *[letter(topics, b"%d" % n) for n in range(6)])
    monkeypatch.setattr(transaction, "TRANSACTION_RECORDS", 2)
    publish = transaction.ReplayTransaction.publish
    second: list[str] = []

    async def publish_and_be_overtaken(batch: Any, tell: Any) -> None:
        await publish(batch, tell)
        if not second:
            second.append("under way")
            second[:] = await replay(topics)

    monkeypatch.setattr(transaction.ReplayTransaction, "publish", publish_and_be_overtaken)
    with pytest.raises(StreamingError, match=r"another replay .* has sent 2 dead letters"):
        await replay(topics)
    assert sorted(second)[:3] == ["0:0 already replayed", "0:1 already replayed", second[2]]
    name = topics.settings.qa.dead_letters_topic
    assert sorted(await replays(topics)) == [f"{name}-0-{n}" for n in range(6)]


async def test_replays_behind_an_open_transaction_are_waited_for(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(topics, letter(topics, key=None))
    name = topics.settings.qa.questions_topic
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers, transactional_id=f"open-{name}"
    ) as somebody:
        publish = transaction.ReplayTransaction.publish

        async def publish_behind_somebody(batch: Any, tell: Any) -> None:
            await somebody.begin_transaction()
            await somebody.send_and_wait(name, b"open", partition=0)
            await publish(batch, tell)

        with monkeypatch.context() as overtaken:
            overtaken.setattr(transaction.ReplayTransaction, "publish", publish_behind_somebody)
            assert await replay(topics) == ["0:0 to 0"]
        # Those who read what is committed cannot see the replay yet, but it is there.
        with monkeypatch.context() as impatient:
            impatient.setattr(topic_reader, "NO_PROGRESS_TIMEOUT_SECONDS", 1.0)
            with pytest.raises(StreamingError, match="broker unavailable or open transaction"):
                await replay(topics)
        waiting = asyncio.create_task(replay(topics))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await somebody.abort_transaction()
    assert await waiting == ["0:0 already replayed"]
