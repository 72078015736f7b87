"""The transactional producer on a broker: atomicity, fencing, and repetition of every request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaConnectionError,
)

from tests.streaming.topics import Topics, until
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.records import OutputRecord
from worker.kafka.refusals import RecordsRefusedError
from worker.kafka.topic_requirements import check_topics
from worker.kafka.transactions import (
    TransactionalProducer,
    fetch_stable_offset,
    transactional_id,
)

REQUESTS = [
    "InitProducerIdRequest",
    "StableOffsetFetchRequest",
    "AddPartitionsToTxnRequest",
    "ProduceRequest",
    "AddOffsetsToTxnRequest",
    "TxnOffsetCommitRequest",
    "EndTxnRequest",
]


class LossyClient(AIOKafkaClient):  # type: ignore[misc]  # aiokafka is untyped
    """Counts requests, and loses the first response to a request of each kind in `loses`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.loses: set[str] = set()
        self.sent: list[str] = []

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        response = await super().send(node_id, request, **options)
        name = type(request).__name__
        self.sent.append(name)
        if name in self.loses:
            self.loses.remove(name)
            raise KafkaConnectionError("the response is lost")
        return response


class Partition:
    """Partition 0 of a test's questions topic, with producers that compete for it."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.source = TopicPartition(topics.settings.qa.questions_topic, 0)
        self.group_id = topics.settings.kafka.group_id
        self.answers = topics.settings.qa.answers_topic
        self._clients: list[BrokerClient] = []

    async def client(self, client: AIOKafkaClient | None = None) -> BrokerClient:
        client = client or client_for_transactions(self.topics.settings.kafka)
        broker_client = BrokerClient(client)
        self._clients.append(broker_client)
        await broker_client.start()
        return broker_client

    async def producer(self, client: BrokerClient | None = None) -> TransactionalProducer:
        """Before `init_transactions`."""
        settings = self.topics.settings
        return TransactionalProducer(
            client or await self.client(),
            settings.kafka,
            transactional_id(self.group_id, self.source),
            (await check_topics(settings)).limits,
        )

    def answer(self, text: str, *, key: bytes | None = None) -> OutputRecord:
        return OutputRecord(self.answers, key, text.encode(), [("h", b"v")], source_partition=0)

    def offset(self, offset: int) -> dict[TopicPartition, int]:
        return {self.source: offset}

    async def seen(self) -> list[str]:
        """The answers in partition 0 that a read_committed consumer returns."""
        records = await self.topics.answers()
        return [record.value.decode() for record in records if record.partition == 0]

    async def committed(self) -> int | None:
        return (await self.topics.committed())[0]

    async def close(self) -> None:
        for client in self._clients:
            await client.stop()


@pytest.fixture
async def partition(topics: Topics) -> AsyncIterator[Partition]:
    own = Partition(topics)
    yield own
    await own.close()


async def test_records_and_offset_are_committed_together_in_order(partition: Partition) -> None:
    producer = await partition.producer()
    await producer.init_transactions()
    # Several batches for each transaction; sequence numbers continue over transactions.
    for start in (0, 400):
        answers = [partition.answer(f"{n:0500}") for n in range(start, start + 400)]
        await producer.commit(answers, partition.offset(start + 400))
    assert await partition.seen() == [f"{n:0500}" for n in range(800)]
    assert await partition.committed() == 800


async def test_transaction_of_offsets_only(partition: Partition) -> None:
    producer = await partition.producer()
    await producer.init_transactions()
    await producer.commit([], partition.offset(7))
    assert await partition.committed() == 7


async def test_transaction_of_records_only(partition: Partition) -> None:
    producer = await partition.producer()
    await producer.init_transactions()
    await producer.commit([])
    await producer.commit([partition.answer("one")])
    assert await partition.seen() == ["one"]
    assert await partition.committed() is None


async def test_records_keep_null_and_empty_fields(partition: Partition) -> None:
    producer = await partition.producer()
    await producer.init_transactions()
    headers = [("a", b"1"), ("a", None), ("b", b"")]
    topic = partition.topics.settings.qa.dead_letters_topic
    records = [OutputRecord(topic, None, None, headers, 0), OutputRecord(topic, b"", b"", [], 0)]
    await producer.commit([*records, partition.answer("x", key=b"k")])
    null, empty = sorted(await partition.topics.dead_letters(), key=lambda r: r.key is not None)
    assert (null.key, null.value, list(null.headers)) == (None, None, headers)
    assert (empty.key, empty.value) == (b"", b"")
    (answer,) = await partition.topics.answers()
    assert (answer.key, answer.value, list(answer.headers)) == (b"k", b"x", [("h", b"v")])


async def test_init_transactions_fences_the_previous_producer(partition: Partition) -> None:
    older, newer = await partition.producer(), await partition.producer()
    await older.init_transactions()
    await older.commit([partition.answer("older")], partition.offset(1))
    await newer.init_transactions()
    with pytest.raises(InvalidProducerEpoch):
        await older.commit([partition.answer("zombie")], partition.offset(2))
    with pytest.raises(IllegalOperation):
        await older.commit([partition.answer("zombie")], partition.offset(2))
    await newer.commit([partition.answer("newer")], partition.offset(2))
    assert await partition.seen() == ["older", "newer"]
    assert await partition.committed() == 2


async def test_commit_before_init_transactions_is_refused(partition: Partition) -> None:
    with pytest.raises(IllegalOperation):
        await (await partition.producer()).commit([], partition.offset(1))


@pytest.mark.parametrize("step", ["_produce", "_commit_offsets", "_end"])
async def test_init_transactions_aborts_an_open_transaction(
    partition: Partition, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await partition.client()
    older, newer = await partition.producer(client), await partition.producer(client)
    await older.init_transactions()
    await _leave_open(
        older, [partition.answer("left open")], partition.offset(1), step, monkeypatch
    )
    await newer.init_transactions()
    assert await fetch_stable_offset(client, partition.group_id, partition.source) is None
    await newer.commit([partition.answer("again")], partition.offset(1))
    assert await partition.seen() == ["again"]


async def test_stable_offset_fetch_waits_for_an_open_transaction(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An OffsetFetch without `require_stable` would return the offset from before (KIP-447)."""
    partition = Partition(topics)
    lossy = LossyClient(bootstrap_servers=partition.topics.servers)
    client = await partition.client(lossy)
    older, newer = await partition.producer(client), await partition.producer(client)
    await older.init_transactions()
    await older.commit([], partition.offset(1))
    await _leave_open(older, [], partition.offset(2), "_end", monkeypatch)
    fetching = asyncio.create_task(
        fetch_stable_offset(client, partition.group_id, partition.source)
    )
    await until(lambda: lossy.sent.count("StableOffsetFetchRequest") > 2, "the fetch is repeated")
    assert not fetching.done()
    await newer.init_transactions()
    assert await fetching == (1, "")
    await partition.close()


@pytest.mark.parametrize("lost", REQUESTS)
async def test_a_lost_response_changes_nothing(partition: Partition, lost: str) -> None:
    lossy = LossyClient(bootstrap_servers=partition.topics.servers)
    client = await partition.client(lossy)
    lossy.loses = {lost}
    producer = await partition.producer(client)
    await producer.init_transactions()
    await producer.commit([partition.answer("one"), partition.answer("two")], partition.offset(2))
    await producer.commit([partition.answer("three")], partition.offset(3))
    assert await fetch_stable_offset(client, partition.group_id, partition.source) == (3, "")
    assert not lossy.loses
    assert await partition.seen() == ["one", "two", "three"]


async def test_a_record_too_large_for_its_topic_fails_the_transaction(
    partition: Partition,
) -> None:
    producer = await partition.producer()
    await producer.init_transactions()
    limits = (await check_topics(partition.topics.settings)).limits
    large = partition.answer("x" * limits[partition.answers])
    with pytest.raises(RecordsRefusedError) as caught:
        await producer.commit([partition.answer("before"), large], partition.offset(2))
    assert {index: why.too_large for index, why in caught.value.refusals.items()} == {1: True}
    await producer.init_transactions()
    assert await partition.committed() is None
    await producer.commit([], partition.offset(2))
    assert await partition.seen() == []


async def test_the_coordinator_aborts_a_transaction_that_times_out(topics: Topics) -> None:
    topics.environment["KAFKA_TRANSACTION_TIMEOUT_MS"] = "1000"
    partition = Partition(topics)
    slow = await partition.producer()
    await slow.init_transactions()
    never = asyncio.Event()
    slow._end = never.wait  # type: ignore[assignment,method-assign]
    with pytest.raises(TimeoutError):
        await slow.commit([partition.answer("too late")], partition.offset(1))
    # No producer fences it; a read_committed consumer can pass once the coordinator has aborted.
    assert await partition.seen() == []
    await partition.close()


async def _leave_open(
    producer: TransactionalProducer,
    records: Sequence[OutputRecord],
    offsets: dict[TopicPartition, int],
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cancel a commit when it reaches `step`."""
    reached = asyncio.Event()

    async def hang(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(producer, step, hang)
        committing = asyncio.create_task(producer.commit(records, offsets))
        await reached.wait()
        committing.cancel()
        await asyncio.wait([committing])
