"""How many transactions of a worker are open at once."""

import asyncio
from typing import Any

import pytest

from tests.brokers.protocol import Broker
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.transactions import TransactionalProducer
from worker.streaming.delivery import exactly_once
from worker.streaming.delivery.transaction_slots import TransactionSlots


class Transactions:
    """Transactions that take a slot and end when they are told to."""

    def __init__(self, slots: TransactionSlots) -> None:
        self._slots = slots
        self.open: list[int] = []
        self.ends = asyncio.Event()

    async def run(self, number: int) -> None:
        async with self._slots.take():
            self.open.append(number)
            await self.ends.wait()


async def test_no_more_than_the_slots_are_open_and_the_rest_follow_in_order() -> None:
    transactions = Transactions(TransactionSlots(3, hold_seconds=3600))
    tasks = [asyncio.create_task(transactions.run(number)) for number in range(10)]
    await until(lambda: len(transactions.open) == 3, "three are open")
    for _ in range(20):  # turns of the loop in which a fourth could begin
        await asyncio.sleep(0)
    assert transactions.open == [0, 1, 2]
    transactions.ends.set()
    await asyncio.gather(*tasks)
    assert transactions.open == list(range(10))


async def test_transactions_that_hang_stop_no_others() -> None:
    transactions = Transactions(TransactionSlots(2, hold_seconds=0.01))
    tasks = [asyncio.create_task(transactions.run(number)) for number in range(7)]
    await until(lambda: len(transactions.open) == 7, "all are open")
    transactions.ends.set()
    await asyncio.gather(*tasks)


async def test_a_slot_is_given_back_once() -> None:
    slots = TransactionSlots(1, hold_seconds=3600)
    ended = Transactions(slots)
    ended.ends.set()
    for number in range(5):
        await ended.run(number)
    transactions = Transactions(slots)
    tasks = [asyncio.create_task(transactions.run(number)) for number in range(2)]
    await until(lambda: bool(transactions.open), "one is open")
    assert transactions.open == [0]
    transactions.ends.set()
    await asyncio.gather(*tasks)


async def test_a_cancelled_transaction_gives_its_slot_back() -> None:
    transactions = Transactions(TransactionSlots(1, hold_seconds=3600))
    first = asyncio.create_task(transactions.run(0))
    await until(lambda: transactions.open == [0], "the first is open")
    second = asyncio.create_task(transactions.run(1))
    first.cancel()
    await until(lambda: transactions.open == [0, 1], "the second is open")
    transactions.ends.set()
    await second


async def test_the_partitions_of_a_worker_share_its_slots(
    broker: Broker, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = most = 0
    commit = TransactionalProducer.commit

    async def counted(self: TransactionalProducer, *arguments: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await commit(self, *arguments)
        finally:
            now -= 1

    monkeypatch.setattr(TransactionalProducer, "commit", counted)
    monkeypatch.setattr(exactly_once, "TransactionSlots", lambda: TransactionSlots(2, 3600))
    async with Topics(broker.bootstrap_servers, partitions=8) as topics:
        await topics.create()
        await topics.send([event(number) for number in range(80)])
        async with running(topics.settings, StubEngine()):
            await topics.committed_are(dict.fromkeys(range(8), 10))
        assert len(await topics.ids()) == 80
    assert most == 2
