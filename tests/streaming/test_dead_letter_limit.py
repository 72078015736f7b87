"""DeadLetterLimit: alone against a naive model, then in a worker on a broker, in both modes."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from schemas.rejection import REPLAY_OF, Header, Reason
from tests.streaming.conftest import Running, RunningWorker
from tests.streaming.fakes import record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import TIMEOUT_SECONDS, Topics, event, until
from worker.kafka.errors import StreamingError
from worker.kafka.producer import IdempotentProducer
from worker.kafka.receipts import Receipt
from worker.kafka.transactions import TransactionalProducer, TransactionTime
from worker.streaming import supervisor
from worker.streaming.dead_letter_limit import DeadLetterLimit, counts
from worker.streaming.delivery.base import ProcessedRecord

BAD = b"{"


@pytest.mark.parametrize(
    ("reason", "headers", "expected"),
    [
        (None, [], True),
        (Reason.SCHEMA, [], True),
        (Reason.SCHEMA_UNKNOWN, [], True),  # a producer with another registry
        (Reason.NOT_AVRO, [], True),
        (Reason.SCHEMA, [(REPLAY_OF, b"dead-0-0")], False),
        (Reason.REPLY_NOT_ALLOWED, [], True),
        (Reason.REPLY_UNKNOWN, [], False),  # a client that has left may have sent many
        (Reason.EXPIRED, [], False),
    ],
)
def test_what_a_rejection_says_of_the_questions_topic(
    reason: Reason | None, headers: list[Header], expected: bool
) -> None:
    question = replace(record(0), headers=headers)
    assert counts(question, ProcessedRecord(0, (), reason)) is expected


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@given(
    outcomes=st.lists(st.sampled_from([None, Reason.SCHEMA, Reason.NOT_JSON]), max_size=60),
    records=st.integers(1, 12),
    percent=st.integers(1, 99),
)
def test_limit_agrees_with_a_naive_count(
    outcomes: list[Reason | None], records: int, percent: int
) -> None:
    limit = DeadLetterLimit(records=records, ratio=percent / 100)
    for seen, outcome in enumerate(outcomes, start=1):
        last = outcomes[max(0, seen - records) : seen]
        rejected = [reason for reason in last if reason is not None]
        above = len(last) == records and 100 * len(rejected) > percent * records
        allowed, error = limit.check([outcome])
        limit.count(outcome)
        if outcome is None or not above:
            assert (allowed, error) == (1, None)
            continue
        assert allowed == 0
        parsed = re.match(r"(\d+) of the last (\d+) .* (\d+) of them as (\w+);", str(error))
        assert parsed is not None
        assert (int(parsed[1]), int(parsed[2])) == (len(rejected), records)
        assert (
            int(parsed[3])
            == rejected.count(Reason(parsed[4]))
            == max(map(rejected.count, rejected))
        )


@given(
    delivered=st.lists(st.sampled_from([None, Reason.SCHEMA]), max_size=20),
    batch=st.lists(st.sampled_from([None, Reason.SCHEMA]), max_size=20),
    records=st.integers(1, 12),
)
def test_batch_is_checked_like_single_records(
    delivered: list[Reason | None], batch: list[Reason | None], records: int
) -> None:
    limit, one_by_one = (DeadLetterLimit(records=records, ratio=0.5) for _ in range(2))
    for outcome in delivered:
        limit.count(outcome)
        one_by_one.count(outcome)
    expected = 0
    for outcome in batch:
        if one_by_one.check([outcome])[1] is not None:
            break
        one_by_one.count(outcome)
        expected += 1
    allowed, error = limit.check(batch)
    assert (allowed, error is None) == (expected, expected == len(batch))


def test_error_names_the_settings() -> None:
    limit = DeadLetterLimit(records=10, ratio=0.7)
    for reason in (None, None, *[Reason.SCHEMA] * 5, *[Reason.NOT_JSON] * 2):
        limit.count(reason)
    _, error = limit.check([Reason.SCHEMA])
    assert str(error) == (
        "8 of the last 10 records were rejected, 6 of them as schema; the remaining records stay "
        "in the topic. Correct the questions or the settings, or see QA_DEAD_LETTER_LIMIT_RECORDS "
        "(10; 0: no limit) and QA_DEAD_LETTER_LIMIT_RATIO (0.7)"
    )


def test_ratio_is_a_metric() -> None:
    limit = DeadLetterLimit(records=4, ratio=0.9)
    ratios = []
    for reason in (Reason.SCHEMA, None, Reason.SCHEMA, Reason.SCHEMA, None):
        limit.count(reason)
        ratios.append(REGISTRY.get_sample_value("qa_rejection_ratio"))
    assert ratios == [0.25, 0.25, 0.5, 0.75, 0.5]


def test_limit_of_0_records_is_disabled() -> None:
    limit = DeadLetterLimit(records=0, ratio=0.1)
    for _ in range(1000):
        assert limit.check([Reason.INTERNAL_ERROR]) == (1, None)
        limit.count(Reason.INTERNAL_ERROR)


async def test_limit_ends_the_worker(topics: Topics, running: Running) -> None:
    await topics.send([event(0), event(1), *[BAD] * 40], partition=0)
    settings = topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS="10")
    with pytest.raises(
        StreamingError, match=r"^10 of the last 10 .* not_json; .*QA_DEAD_LETTER_LIMIT_RATIO"
    ):
        async with running(settings, StubEngine()) as worker:
            await _ended(worker)
    # Nine rejections of ten do not exceed the ratio; the tenth, at offset 11, does.
    assert await topics.ids() == ["q-0", "q-1"]
    dead_letters = await topics.dead_letters()
    assert [dict(each.headers)["__connect.errors.offset"] for each in dead_letters] == [
        b"%d" % offset for offset in range(2, 11)
    ]
    assert (await topics.committed())[0] == 11
    # A restarted worker counts from zero.
    with pytest.raises(StreamingError, match="10 of the last 10"):
        async with running(settings, StubEngine()) as worker:
            await _ended(worker)
    assert len(await topics.dead_letters()) == 18
    assert (await topics.committed())[0] == 20


async def test_limit_spans_partitions_and_sessions(topics: Topics, running: Running) -> None:
    class BreaksOnce(StubEngine):
        broken = False

        def submit(self, event: Any, **more: Any) -> Any:
            if not self.broken:
                self.broken = True
                raise OSError("the device is gone")
            return super().submit(event, **more)

    engine = BreaksOnce()
    settings = topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS="10", QA_DEAD_LETTER_LIMIT_RATIO="0.7")
    await topics.send([BAD] * 8)

    async def work() -> None:
        async with running(settings, engine) as worker:
            await topics.committed_are({0: 4, 1: 4})
            await topics.send([event(1)], partition=0)
            await until(lambda: engine.broken, "the session fails")
            await topics.committed_are({0: 5, 1: 4})
            await topics.send([BAD], partition=0)
            await _ended(worker)

    with pytest.raises(StreamingError, match="9 of the last 10"):
        await work()
    assert len(await topics.dead_letters()) == 8


async def test_rejection_counts_once_over_failed_deliveries(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch, delivery: str
) -> None:
    """In exactly-once mode each failure restarts the partition, in at-least-once mode the session;
    either way the record is read and rejected again.
    """
    monkeypatch.setattr(supervisor, "BACKOFF_SECONDS", (0.0,))
    records = 3
    failures = FailingDeliveries(monkeypatch, delivery, count=records)
    settings = topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS=str(records))
    await topics.send([BAD], partition=0)
    async with running(settings, StubEngine()):
        await topics.committed_are({0: 1, 1: 0})
        assert failures.left == 0
        assert REGISTRY.get_sample_value("qa_rejection_ratio") == pytest.approx(1 / records)
        await topics.send([event(1)], partition=0)
        await until(lambda: topics.has(1), "the worker continues")
    assert len(await topics.dead_letters()) == 1


class FailingDeliveries:
    """The next `count` deliveries of records fail before anything is sent."""

    def __init__(self, patch: pytest.MonkeyPatch, delivery: str, count: int) -> None:
        self.left = count
        if delivery == "exactly_once":
            commit = TransactionalProducer.commit

            async def fail_commit(
                producer: TransactionalProducer, records: Any, *offsets: Any
            ) -> TransactionTime:
                if records:
                    self._fail()
                return await commit(producer, records, *offsets)

            patch.setattr(TransactionalProducer, "commit", fail_commit)
        else:
            publish = IdempotentProducer.publish

            async def fail_publish(
                producer: IdempotentProducer, records: Any
            ) -> Mapping[int, Receipt]:
                self._fail()
                return await publish(producer, records)

            patch.setattr(IdempotentProducer, "publish", fail_publish)

    def _fail(self) -> None:
        if self.left:
            self.left -= 1
            raise KafkaConnectionError("no broker")


async def _ended(worker: RunningWorker) -> None:
    """Leaving `running` then raises the worker's error."""
    done, _ = await asyncio.wait([worker.task], timeout=TIMEOUT_SECONDS)
    assert done
