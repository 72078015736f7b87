"""Replays publish in transactions: whole ones only, fenced by a later replay, read committed."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.dead_letters.records import dead_letter, post, replay, replays
from tests.streaming.topics import Topics
from worker.dead_letters import transaction
from worker.kafka import topic_reader
from worker.kafka.errors import StreamingError
from worker.kafka.transactions import TransactionalProducer


async def test_failed_replay_publishes_whole_transactions_only(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(topics, *[dead_letter(topics, b"%d" % n) for n in range(4)])
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


async def test_second_replay_fences_the_first(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(topics, *[dead_letter(topics, b"%d" % n) for n in range(6)])
    monkeypatch.setattr(transaction, "TRANSACTION_RECORDS", 2)
    publish = transaction.ReplayTransaction.publish
    second: list[str] = []

    async def publish_then_second_replay(batch: Any, on_result: Any) -> None:
        await publish(batch, on_result)
        if not second:
            second.append("under way")
            second[:] = await replay(topics)

    monkeypatch.setattr(transaction.ReplayTransaction, "publish", publish_then_second_replay)
    with pytest.raises(StreamingError, match=r"another replay .* has sent 2 dead letters"):
        await replay(topics)
    assert sorted(second)[:3] == ["0:0 already replayed", "0:1 already replayed", second[2]]
    name = topics.settings.qa.dead_letters_topic
    assert sorted(await replays(topics)) == [f"{name}-0-{n}" for n in range(6)]


async def test_replay_waits_for_an_open_transaction(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(topics, dead_letter(topics, key=None))
    name = topics.settings.qa.questions_topic
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers, transactional_id=f"open-{name}"
    ) as other:
        publish = transaction.ReplayTransaction.publish

        async def publish_behind_it(batch: Any, on_result: Any) -> None:
            await other.begin_transaction()
            await other.send_and_wait(name, b"open", partition=0)
            await publish(batch, on_result)

        with monkeypatch.context() as patch:
            patch.setattr(transaction.ReplayTransaction, "publish", publish_behind_it)
            assert await replay(topics) == ["0:0 to 0"]
        # The open transaction still hides the replay from read_committed consumers.
        with monkeypatch.context() as patch:
            patch.setattr(topic_reader, "NO_PROGRESS_TIMEOUT_SECONDS", 1.0)
            with pytest.raises(StreamingError, match="broker unavailable or open transaction"):
                await replay(topics)
        waiting = asyncio.create_task(replay(topics))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await other.abort_transaction()
    assert await waiting == ["0:0 already replayed"]
