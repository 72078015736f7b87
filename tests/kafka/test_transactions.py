"""Transactions on brokers that are real: what is seen of them, what a fence shuts out, and that
every step survives the loss of its answer.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from tests.brokers.apache import ApacheKafka
from tests.streaming.topics import Topics
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.records import RECORD_OVERHEAD, OutputRecord
from worker.kafka.topics import check_topics
from worker.kafka.transactions import TransactionalProducer, fetch_stable_offset

STEPS = [
    "InitProducerIdRequest",
    "StableOffsetFetch",
    "AddPartitionsToTxnRequest",
    "ProduceRequest",
    "AddOffsetsToTxnRequest",
    "TxnOffsetCommitRequest",
    "EndTxnRequest",
]


class Forgetful(AIOKafkaClient):  # type: ignore[misc]  # aiokafka is untyped
    """Loses the first answer to a request of each kind that it is told."""

    loses: set[str] = set()  # noqa: RUF012 - set for one client

    async def send(self, node_id: int, request: Any, **how: Any) -> Any:
        answer = await super().send(node_id, request, **how)
        if type(request).__name__ in self.loses:
            self.loses.remove(type(request).__name__)
            raise KafkaConnectionError("the answer is lost")
        return answer


class Partition:
    """Partition 0 of a test's questions, and links of workers that want it."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.questions = TopicPartition(topics.settings.qa.questions_topic, 0)
        self.answers = topics.settings.qa.answers_topic
        self.links: list[BrokerClient] = []

    async def transactions(self, link: BrokerClient | None = None) -> TransactionalProducer:
        """Without a fence yet."""
        settings = self.topics.settings
        limits = await check_topics(settings)
        link = link or await self.link(client_for_transactions(settings.kafka))
        return TransactionalProducer(link, settings.kafka, self.questions, limits)

    async def link(self, client: AIOKafkaClient) -> BrokerClient:
        link = BrokerClient(client)
        self.links.append(link)
        await link.start()
        return link

    def answer(self, text: str, *, key: bytes | None = None) -> OutputRecord:
        return OutputRecord(self.answers, key, text.encode(), [("h", b"v")], lane=0)

    async def seen(self) -> list[str]:
        """What a consumer that reads committed sees in partition 0."""
        records = await self.topics.answers()
        return [record.value.decode() for record in records if record.partition == 0]

    async def committed(self) -> int | None:
        return (await self.topics.committed())[0]


@pytest.fixture
async def partition(topics: Topics) -> AsyncIterator[Partition]:
    own = Partition(topics)
    yield own
    for link in own.links:
        await link.stop()


async def test_records_and_offset_come_together_and_in_order(partition: Partition) -> None:
    transactions = await partition.transactions()
    assert await transactions.fence() is None
    # Several batches, and a sequence that goes on over transactions.
    for start in (0, 400):
        texts = [f"{n:0500}" for n in range(start, start + 400)]
        await transactions.commit([partition.answer(text) for text in texts], start + 400)
    assert await partition.seen() == [f"{n:0500}" for n in range(800)]
    assert await partition.committed() == 800


async def test_an_offset_alone_is_a_transaction_too(partition: Partition) -> None:
    transactions = await partition.transactions()
    await transactions.fence()
    await transactions.commit([], 7)
    assert await partition.committed() == 7
    assert await (await partition.transactions()).fence() == 7


async def test_a_record_keeps_its_shape(partition: Partition) -> None:
    transactions = await partition.transactions()
    await transactions.fence()
    headers = [("a", b"1"), ("a", None), ("b", b"")]
    dead = partition.topics.settings.qa.dead_letters_topic
    records = [OutputRecord(dead, None, None, headers, 0), OutputRecord(dead, b"", b"", [], 0)]
    await transactions.commit([*records, partition.answer("x", key=b"k")], 3)
    nothing, empty = sorted(await partition.topics.dead_letters(), key=lambda r: r.key is not None)
    assert (nothing.key, nothing.value, list(nothing.headers)) == (None, None, headers)
    assert (empty.key, empty.value) == (b"", b"")
    (answer,) = await partition.topics.answers()
    assert (answer.key, answer.value, list(answer.headers)) == (b"k", b"x", [("h", b"v")])


async def test_the_next_fence_shuts_out_the_one_before(partition: Partition) -> None:
    older, newer = await partition.transactions(), await partition.transactions()
    await older.fence()
    await older.commit([partition.answer("older")], 1)
    assert await newer.fence() == 1
    with pytest.raises(InvalidProducerEpoch):
        await older.commit([partition.answer("zombie")], 2)
    with pytest.raises(IllegalOperation):
        await older.commit([partition.answer("zombie")], 2)
    await newer.commit([partition.answer("newer")], 2)
    assert await partition.seen() == ["older", "newer"]
    assert await partition.committed() == 2


async def test_without_a_fence_nothing_is_committed(partition: Partition) -> None:
    with pytest.raises(IllegalOperation):
        await (await partition.transactions()).commit([], 1)


@pytest.mark.parametrize("step", ["_produce", "_commit_offset", "_end"])
async def test_what_was_left_open_is_aborted_by_the_next_fence(
    partition: Partition, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = await partition.transactions(), await partition.transactions()
    await older.fence()
    reached = asyncio.Event()

    async def hang(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(older, step, hang)
        left = asyncio.create_task(older.commit([partition.answer("left open")], 1))
        await reached.wait()
        left.cancel()
        await asyncio.wait([left])
    assert await newer.fence() is None
    await newer.commit([partition.answer("again")], 1)
    assert await partition.seen() == ["again"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_lost_answer_changes_nothing(partition: Partition, step: str) -> None:
    client = client_for_transactions(partition.topics.settings.kafka)
    client.__class__ = Forgetful
    client.loses = {step}
    transactions = await partition.transactions(await partition.link(client))
    await transactions.fence()
    await transactions.commit([partition.answer("one"), partition.answer("two")], 2)
    await transactions.commit([partition.answer("three")], 3)
    assert not client.loses, "it was lost"
    assert await partition.seen() == ["one", "two", "three"]
    assert await partition.committed() == 3


async def test_a_record_that_its_topic_does_not_take_is_an_error_and_nothing_is_seen(
    partition: Partition,
) -> None:
    transactions = await partition.transactions()
    await transactions.fence()
    limits = await check_topics(partition.topics.settings)
    large = partition.answer("x" * (limits[partition.answers] + RECORD_OVERHEAD))
    with pytest.raises(MessageSizeTooLargeError):
        await transactions.commit([partition.answer("before"), large], 2)
    again = await partition.transactions()
    assert await again.fence() is None
    await again.commit([], 2)
    assert await partition.seen() == []


async def test_a_transaction_that_takes_too_long_is_given_up_by_both_sides(
    topics: Topics,
) -> None:
    topics.environment["KAFKA_TRANSACTION_TIMEOUT_MS"] = "1000"
    partition = Partition(topics)
    slow = await partition.transactions()
    await slow.fence()
    never = asyncio.Event()
    slow._end = never.wait  # type: ignore[assignment,method-assign]
    with pytest.raises(TimeoutError):
        await slow.commit([partition.answer("too late")], 1)
    # Nobody fences; the coordinator aborts it, and what follows can be seen.
    assert await partition.seen() == []
    for link in partition.links:
        await link.stop()


async def test_after_a_fence_no_broker_of_kafka_4_has_an_older_offset(
    apache_kafka: ApacheKafka,
) -> None:
    """The race that `require_stable` closes. A transaction's end is answered before its markers
    are written, so a plain OffsetFetch right after it finds the offset from before. After a fence
    it would not, on this version: InitProducerId waits for the markers, and the coordinator has
    applied them when it answers. `fetch_stable_offset` does not lean on that.
    """
    topics = Topics(apache_kafka.bootstrap_servers)
    await topics.create()
    partition = Partition(topics)
    one, two = await partition.transactions(), await partition.transactions()
    link, group = partition.links[1], topics.settings.kafka.group_id
    stale_after_the_end = stale_after_a_fence = offset = 0
    for _ in range(100):
        await one.fence()
        offset += 1
        await one.commit([], offset)
        stale_after_the_end += await _plain(link, group, partition.questions) != offset
        assert await fetch_stable_offset(link, group, partition.questions) == offset
        # The next is still ending when its successor comes.
        committing = asyncio.create_task(one.commit([], offset + 1))
        for _ in range(offset % 20):
            await asyncio.sleep(0.0005)
        await link.ask_transactions(
            two._id, InitProducerIdRequest(two._id, 10_000), lambda a: [a.error_code], way=0
        )
        plain = await _plain(link, group, partition.questions)
        stable = await fetch_stable_offset(link, group, partition.questions)
        stale_after_a_fence += plain != stable
        assert stable in (offset, offset + 1)
        offset = stable
        await asyncio.gather(committing, return_exceptions=True)
        if not committing.exception():
            assert stable == offset
    print(f"\nolder offset, of 100: after the end {stale_after_the_end}", end="")
    print(f", after a fence {stale_after_a_fence}")
    assert stale_after_the_end > 0
    assert stale_after_a_fence == 0
    for every in partition.links:
        await every.stop()


async def _plain(link: BrokerClient, group: str, partition: TopicPartition) -> int:
    """As aiokafka asks for it."""
    request = OffsetFetchRequest(group, [(partition.topic, [partition.partition])])
    answer = await link.ask_group(group, request, lambda _: [], way=0)
    ((_, ((_, offset, _, code),)),) = answer.topics
    if code:
        raise KafkaError(code)
    return int(offset)
