"""Records for foreign topics that are gone, or forbidden, when they are sent. No network."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from tests.kafka.described_topics import Brokers
from tests.kafka.test_record_sender import OK, Leader
from tests.streaming.fakes import settings
from tests.streaming.topics import until
from worker.kafka import broker_client, foreign_topics, transactions
from worker.kafka.broker_client import BrokerClient
from worker.kafka.foreign_topics import LEADER_SECONDS
from worker.kafka.record_sender import RecordSender
from worker.kafka.records import OutputRecord
from worker.kafka.refusals import RecordsRefusedError
from worker.kafka.transactions import TransactionalProducer

UNKNOWN, NOT_ENOUGH_REPLICAS, FORBIDDEN = 3, 19, 29
RECORDS = [
    OutputRecord("answers", None, b"own", (), source_partition=0),
    OutputRecord("replies", None, b"a", (), source_partition=0, foreign=True),
    OutputRecord("replies", None, b"b", (), source_partition=0, foreign=True),
]


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    monkeypatch.setattr(foreign_topics, "CONFIRM_SECONDS", 0.0)
    brokers = Brokers()
    brokers.leaders = {"replies": [0]}
    return brokers


def sender(
    brokers: Brokers, answer: Callable[[list[bytes]], Sequence[Any]], *, timeout_ms: int = 10_000
) -> RecordSender:
    client = BrokerClient(Leader(answer))
    client.foreign_topics = brokers.topics
    made = RecordSender(client, {"answers": 10**6}, compression="none", timeout_ms=timeout_ms)
    made.begin(7, 0)
    return made


@pytest.mark.parametrize("code", [32, 43, 87])
async def test_a_topics_configuration_refuses_its_records_only(brokers: Brokers, code: int) -> None:
    """Timestamps, the format and a schema: of the worker's own topics the first two end it."""
    sending = sender(
        brokers, lambda values: OK if values == [b"own"] else (code, -1, -1, 0, [], "no")
    )
    with pytest.raises(RecordsRefusedError):
        await sending.send(await sending.encode(RECORDS[:2]))


async def test_a_leader_that_answers_with_errors_is_waited_for_half_a_transaction(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer, and the transaction would end by its timeout, to be repeated for ever."""
    monkeypatch.setattr(broker_client, "PAUSES", (0.01,))
    sending = sender(
        brokers,
        lambda values: OK if values == [b"own"] else (NOT_ENOUGH_REPLICAS, -1, -1, 0, [], None),
        timeout_ms=200,
    )
    async with asyncio.timeout(LEADER_SECONDS / 2):
        with pytest.raises(RecordsRefusedError, match="replies: NOT_ENOUGH_REPLICAS"):
            await sending.send(await sending.encode(RECORDS))


@pytest.mark.parametrize("code", [UNKNOWN, FORBIDDEN])
async def test_a_leader_that_lost_the_topic_refuses_its_records(
    brokers: Brokers, code: int
) -> None:
    def answer(values: list[bytes]) -> Sequence[Any]:
        if values == [b"own"]:
            return OK
        brokers.leaders = {}
        return (code, -1, -1, 0, [], None)

    sending = sender(brokers, answer)
    with pytest.raises(RecordsRefusedError) as caught:
        await sending.send(await sending.encode(RECORDS))
    assert {index: why.missing for index, why in caught.value.refusals.items()} == {
        1: True,
        2: True,
    }
    assert set(caught.value.acknowledged) == {0}
    # It is not sent again.
    with pytest.raises(RecordsRefusedError, match="it does not exist"):
        await sending.encode(RECORDS)


async def test_a_leader_that_does_not_know_the_topic_yet_is_asked_again(brokers: Brokers) -> None:
    codes = [UNKNOWN, UNKNOWN]

    def answer(values: list[bytes]) -> Sequence[Any]:
        own = values == [b"own"]
        return OK if own or not codes else (codes.pop(), -1, -1, 0, [], None)

    sending = sender(brokers, answer)
    await sending.send(await sending.encode(RECORDS))
    assert codes == []


async def test_no_transaction_begins_with_a_partition_without_leader(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not end before the partition has one."""
    monkeypatch.setattr(foreign_topics, "LEADER_SECONDS", 0.0)
    brokers.leaders = {"replies": [-1]}
    sending = sender(brokers, lambda _: OK)
    with pytest.raises(RecordsRefusedError, match="replies: partition 0 has no leader") as caught:
        await sending.encode(RECORDS)
    assert sorted(caught.value.refusals) == [1, 2]


async def test_a_partition_that_gets_a_leader_is_waited_for(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_topics, "LEADER_PAUSE_SECONDS", 0.0)
    brokers.leaders = {"replies": [-1]}
    sending = sender(brokers, lambda _: OK)
    encoding = asyncio.create_task(sending.encode(RECORDS))
    await until(lambda: len(brokers.asked) > 2, "the brokers are asked again")
    brokers.leaders = {"replies": [0]}
    await sending.send(await encoding)


async def test_a_forbidden_topic_of_the_workers_own_is_an_error(brokers: Brokers) -> None:
    sending = sender(brokers, lambda _: (FORBIDDEN, -1, -1, 0, [], None))
    with pytest.raises(TopicAuthorizationFailedError):
        await sending.send(await sending.encode(RECORDS[:1]))


class Coordinator(BrokerClient):
    """Answers AddPartitionsToTxn with these codes for the foreign topic, one after the other."""

    def __init__(self, brokers: Brokers, codes: list[int]) -> None:
        super().__init__(Leader(lambda _: OK))
        self.foreign_topics = brokers.topics
        self._codes = codes

    async def send_to_transaction_coordinator(
        self, transactional_id: str, request: Any, codes: Any, *, connection: int
    ) -> Any:
        assert transactional_id == "id"
        assert connection >= 0
        if "AddPartitions" in type(request).__name__:
            code = self._codes.pop(0) if self._codes else 0
            errors = [("answers", [(0, 55 if code else 0)]), ("replies", [(0, code)])]
            response = SimpleNamespace(errors=errors)
        else:
            response = SimpleNamespace(error_code=0, producer_id=7, producer_epoch=0)
        assert not any(codes(response))
        return response


@pytest.mark.parametrize(
    ("codes", "gone", "committed"),
    [
        ([UNKNOWN, UNKNOWN], False, True),
        ([UNKNOWN], True, False),
        ([UNKNOWN] * 9, False, False),
        ([FORBIDDEN], False, False),
    ],
    ids=["created a moment ago", "deleted", "never known to the coordinator", "forbidden"],
)
async def test_a_coordinator_refuses_a_foreign_topic_once_other_brokers_agree(
    brokers: Brokers,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[int],
    gone: bool,
    committed: bool,
) -> None:
    monkeypatch.setattr(transactions, "FOREIGN_PAUSES", (0.0, 0.0, 0.0))
    producer = TransactionalProducer(
        Coordinator(brokers, codes), settings().kafka, "id", {"answers": 10**6}
    )
    await producer.init_transactions()
    await brokers.topics.find("replies")
    if gone:
        brokers.leaders = {}
    if committed:
        await producer.commit(RECORDS)
        assert codes == []
        return
    with pytest.raises(RecordsRefusedError) as caught:
        await producer.commit(RECORDS)
    assert sorted(caught.value.refusals) == [1, 2]
    assert all(why.missing for why in caught.value.refusals.values())
