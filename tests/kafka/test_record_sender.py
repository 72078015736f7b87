"""What the sender makes of a leader's answer. No network: the leader's answers are given."""

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import DuplicateSequenceNumber, InvalidTimestampError
from aiokafka.record.default_records import DefaultRecordBatch

from worker.kafka.broker_client import BrokerClient
from worker.kafka.record_sender import RecordSender
from worker.kafka.records import OutputRecord
from worker.kafka.refusals import RecordsRefusedError

Answer = Callable[[list[bytes]], Sequence[Any]]
"""From the values of a batch to a partition's entry in the response, without its number."""

OK: tuple[Any, ...] = (0, 0, -1, 0, [], None)


class Leader:
    """aiokafka's client of a broker that leads partition 0 of every topic."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.cluster = self
        self.batches: list[list[bytes]] = []

    def leader_for_partition(self, _: Any) -> int:
        return 0

    async def _wait_on_metadata(self, _: str) -> set[int]:
        return {0}

    async def force_metadata_update(self) -> bool:
        return True

    async def send(self, _: int, request: Any, **__: Any) -> Any:
        ((topic, ((number, data),)),) = request.build(type(request)._CLASSES[-1]).topics
        values = [bytes(record.value) for record in DefaultRecordBatch(data)]
        self.batches.append(values)
        return SimpleNamespace(topics=[(topic, [(number, *self._answer(values))])])


def refuses(value: bytes, code: int, *, names_records: bool = True) -> Answer:
    def answer(values: list[bytes]) -> Sequence[Any]:
        if value not in values:
            return OK
        named = [(values.index(value), "no key")] if names_records else []
        return (code, -1, -1, 0, named, "one record is wrong")

    return answer


async def send(leader: Leader, *values: bytes) -> RecordSender:
    sender = RecordSender(
        BrokerClient(leader), {"answers": 10**6}, compression="none", timeout_ms=1000
    )
    sender.begin(7, 0)
    await send_with(sender, *values)
    return sender


async def send_with(sender: RecordSender, *values: bytes) -> None:
    records = [OutputRecord("answers", None, value, (), source_partition=0) for value in values]
    await sender.send(await sender.encode(records))


async def test_receipts_have_the_offset_of_each_record() -> None:
    def answer(values: list[bytes]) -> Sequence[Any]:
        return (0, 40, -1, 0, [], None)

    sender = RecordSender(
        BrokerClient(Leader(answer)), {"answers": 10**6}, compression="none", timeout_ms=1000
    )
    sender.begin(7, 0)
    records = [
        OutputRecord("answers", None, value, (), source_partition=0) for value in (b"a", b"b")
    ]
    before = time.time_ns()
    receipts = await sender.send(await sender.encode(records))
    assert [(index, each.partition, each.offset) for index, each in receipts.items()] == [
        (0, 0, 40),
        (1, 0, 41),
    ]
    assert before <= receipts[0].began <= receipts[0].ended <= time.time_ns()


async def test_batch_that_the_leader_had_already_has_a_receipt_without_offset() -> None:
    def answer(values: list[bytes]) -> Sequence[Any]:
        return (DuplicateSequenceNumber.errno, -1, -1, 0, [], None)

    sender = RecordSender(
        BrokerClient(Leader(answer)), {"answers": 10**6}, compression="none", timeout_ms=1000
    )
    sender.begin(7, 0)
    records = [OutputRecord("answers", None, b"a", (), source_partition=0)]
    receipts = await sender.send(await sender.encode(records))
    assert (receipts[0].partition, receipts[0].offset) == (0, None)


async def test_a_refusal_names_the_record_with_the_brokers_words() -> None:
    with pytest.raises(RecordsRefusedError, match="INVALID_RECORD") as caught:
        await send(Leader(refuses(b"b", 87)), b"a", b"b", b"c")
    ((index, refusal),) = caught.value.refusals.items()
    assert (index, refusal.too_large) == (1, False)
    assert str(refusal) == "answers refuses the record: INVALID_RECORD: no key"


@pytest.mark.parametrize("code", [10, 18, 87])
async def test_an_unnamed_record_is_found_in_a_batch_of_its_own(code: int) -> None:
    leader = Leader(refuses(b"b", code, names_records=False))
    sender = RecordSender(
        BrokerClient(leader), {"answers": 10**6}, compression="none", timeout_ms=1000
    )
    sender.begin(7, 0)
    with pytest.raises(RecordsRefusedError) as caught:
        await send_with(sender, b"a", b"b", b"c")
    assert caught.value.refusals == {}
    sender.begin(8, 0)
    with pytest.raises(RecordsRefusedError) as caught:
        await send_with(sender, b"a", b"b", b"c")
    assert [(i, r.too_large) for i, r in caught.value.refusals.items()] == [(1, code != 87)]
    assert leader.batches == [[b"a", b"b", b"c"], [b"a"], [b"b"]]


async def test_a_refused_timestamp_names_the_clock_and_the_topics_properties() -> None:
    with pytest.raises(InvalidTimestampError, match=r"clock .*message\.timestamp\.after\.max\.ms"):
        await send(Leader(refuses(b"a", 32)), b"a")
