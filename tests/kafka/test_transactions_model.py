"""The transactional producer against a model of Kafka, under random schedules: workers start, die
and hang, requests arrive late, responses are lost, coordinators move. A read_committed consumer
sees every question's answer once, in order, and the committed offset tells how far.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
)
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.examples import shared
from tests.kafka.model_broker import ModelBroker
from worker.kafka import broker_client
from worker.kafka.broker_client import BrokerClient
from worker.kafka.protocol import (
    ProduceRequest,
    StableOffsetFetchRequest,
    TxnOffsetCommitRequest,
)
from worker.kafka.records import OutputRecord
from worker.kafka.transactions import (
    TransactionalProducer,
    fetch_stable_offset,
    transactional_id,
)
from worker.settings.environment import load

PARTITION = TopicPartition("questions", 0)
LIMITS = {"answers": 200, "letters": 200}  # small, so that a transaction takes several batches
KAFKA = load({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}).kafka
TRANSACTIONAL_ID = transactional_id(KAFKA.group_id, PARTITION)
# Not the coordinator; coordinator loading, unavailable; not the leader; request timed out.
RETRIABLE = [16, 14, 15, 6, 7]


class Network:
    """In place of aiokafka's client: every request waits until the test answers it."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, asyncio.Future[Any]]] = []
        self.cluster = self

    def leader_for_partition(self, _: TopicPartition) -> int:
        return 0

    async def _wait_on_metadata(self, _: str) -> set[int]:
        return {0}

    async def coordinator_lookup(self, *_: Any) -> int:
        return 0

    async def force_metadata_update(self) -> bool:
        return True

    async def send(self, _: int, request: Any, **__: Any) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self.requests.append((request, answer))
        return await answer


def outcome(number: int) -> OutputRecord:
    """The outcome of question `number`: a dead letter for every fifth, else an answer."""
    topic = "answers" if number % 5 else "letters"
    return OutputRecord(topic, None, str(number).encode(), (), source_partition=0)


async def fence_then_fetch(client: BrokerClient, producer: TransactionalProducer) -> int:
    """As the worker begins with a partition."""
    await producer.init_transactions()
    return await _committed(client)


async def _committed(client: BrokerClient) -> int:
    committed = await fetch_stable_offset(client, KAFKA.group_id, PARTITION)
    return 0 if committed is None else int(committed.offset)


async def fetch_then_fence(client: BrokerClient, producer: TransactionalProducer) -> int:
    """The wrong order: the previous owner can still commit after the offset was fetched."""
    offset = await _committed(client)
    await producer.init_transactions()
    return offset


class AnySchedule(RuleBasedStateMachine):
    """Up to four workers at a time believe that they own the partition."""

    make = TransactionalProducer
    begin = staticmethod(fence_then_fetch)

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.broker = ModelBroker()
        self.network = Network()
        self.workers: list[asyncio.Task[None]] = []
        self.fences = 0

    @precondition(lambda self: len(self.workers) < 4)
    @rule(size=st.integers(1, 12))
    def worker_is_assigned(self, size: int) -> None:
        self.workers.append(self.loop.create_task(self._work(size)))
        self._settle()

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def worker_dies_with_requests_in_flight(self, data: st.DataObject) -> None:
        worker = self.workers.pop(data.draw(st.integers(0, len(self.workers) - 1)))
        worker.cancel()
        self._settle()

    @precondition(lambda self: self.network.requests)
    @rule(data=st.data(), how=st.sampled_from(["answered", "answered", "answered", "lost"]))
    def request_arrives(self, data: st.DataObject, how: str) -> None:
        request, answer = self._any_request(data)
        response = self.broker.answer(request)
        if not answer.done():
            if how == "answered":
                answer.set_result(response)
            else:
                answer.set_exception(KafkaConnectionError("the response is lost"))
        self._settle()

    @precondition(lambda self: self.network.requests)
    @rule(count=st.integers(1, 20))
    def requests_succeed(self, count: int) -> None:
        for _ in range(count):
            if self.network.requests:
                request, answer = self.network.requests.pop(0)
                response = self.broker.answer(request)
                if not answer.done():
                    answer.set_result(response)
            self.broker.end()
            self._settle()

    @precondition(lambda self: self.network.requests)
    @rule(data=st.data(), code=st.sampled_from(RETRIABLE))
    def request_fails_with_a_retriable_error(self, data: st.DataObject, code: int) -> None:
        _, answer = self._any_request(data)
        if not answer.done():
            answer.set_exception(for_code(code)())
        self._settle()

    @rule()
    def markers_are_written(self) -> None:
        self.broker.end()

    @rule()
    def transaction_times_out(self) -> None:
        self.broker.expire()

    @invariant()
    def answers_are_seen_once_in_order_up_to_the_offset(self) -> None:
        done = [outcome(number) for number in range(self.broker.offset or 0)]
        for topic in LIMITS:
            seen = [value for (at, _), value in self.broker.committed if at == topic]
            assert seen == [record.value for record in done if record.topic == topic]

    def teardown(self) -> None:
        try:
            self._last_worker_makes_progress()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self._settle()
            self.loop.close()

    def _last_worker_makes_progress(self) -> None:
        while self.workers:
            self.workers.pop().cancel()
        self.network.requests.clear()
        self._settle()
        before = self.broker.offset or 0
        self.worker_is_assigned(3)
        for _ in range(100):
            self.broker.end()
            for request, answer in self.network.requests[:]:
                self.network.requests.remove((request, answer))
                answer.set_result(self.broker.answer(request))
            self._settle()
        assert (self.broker.offset or 0) > before
        self.answers_are_seen_once_in_order_up_to_the_offset()

    async def _work(self, size: int) -> None:
        """Fence, then transactions of `size` outcomes; start again after an error."""
        while True:
            client = BrokerClient(self.network)
            producer = type(self).make(client, KAFKA, TRANSACTIONAL_ID, LIMITS)
            try:
                offset = await type(self).begin(client, producer)
                while True:
                    outcomes = [outcome(number) for number in range(offset, offset + size)]
                    await producer.commit(outcomes, {PARTITION: offset + size})
                    offset += size
            except (KafkaError, TimeoutError):
                self.fences += 1

    def _any_request(self, data: st.DataObject) -> tuple[Any, "asyncio.Future[Any]"]:
        return self.network.requests.pop(data.draw(st.integers(0, len(self.network.requests) - 1)))

    def _settle(self) -> None:
        """Run until every worker waits for the network."""
        self.loop.run_until_complete(_turns())


async def _turns() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "PAUSES", (0.0,))


@pytest.mark.long
def test_every_answer_is_seen_once_under_any_schedule() -> None:
    run_state_machine_as_test(
        AnySchedule, settings=settings(max_examples=shared(30), stateful_step_count=120)
    )


class NoOffsets(TransactionalProducer):
    """Leaves the offsets out of the transaction."""

    async def _commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        pass


def test_model_detects_offsets_outside_the_transaction() -> None:
    class Broken(AnySchedule):
        make = NoOffsets

    # Any failing example will do, so it is not shrunk.
    search = settings(phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Broken, settings=search)


def test_model_detects_an_offset_fetched_before_the_fence() -> None:
    class Broken(AnySchedule):
        begin = staticmethod(fetch_then_fence)

    schedule = Broken()
    schedule.worker_is_assigned(size=1)
    schedule.requests_succeed(count=2)
    # The second fetches the offset; then the first commits; then the second fences.
    schedule.worker_is_assigned(size=1)
    _arrives(schedule, StableOffsetFetchRequest)
    for step in (
        AddPartitionsToTxnRequest,
        ProduceRequest,
        AddOffsetsToTxnRequest,
        TxnOffsetCommitRequest,
        EndTxnRequest,
    ):
        _arrives(schedule, step)
    schedule.broker.end()
    schedule.answers_are_seen_once_in_order_up_to_the_offset()
    schedule.workers.pop(0).cancel()
    schedule.requests_succeed(count=20)
    with pytest.raises(AssertionError, match=r"\[b'0', b'0'"):
        schedule.answers_are_seen_once_in_order_up_to_the_offset()
    with pytest.raises(AssertionError):
        schedule.teardown()


def _arrives(schedule: AnySchedule, kind: type[Any]) -> None:
    """Answer the oldest request of this kind."""
    place = [type(request) for request, _ in schedule.network.requests].index(kind)
    request, answer = schedule.network.requests.pop(place)
    answer.set_result(schedule.broker.answer(request))
    schedule._settle()
