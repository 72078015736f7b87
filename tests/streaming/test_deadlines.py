"""Records whose deadline has passed, with in-memory delivery and by the clock of the test."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from schemas.expiry import HEADER
from schemas.question import Question
from schemas.rejection import REPLAY_OF, Header, Reason
from tests.streaming.fakes import FIRST, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine, answer_to
from worker.inference.deadline import Deadline
from worker.inference.result import ReadResult
from worker.kafka.records import InputRecord
from worker.observability.record_trace import (
    ANSWERED,
    RecordTrace,
    TraceDispatcher,
    TraceListener,
)
from worker.observability.timings import BatchTiming, ReadTimings
from worker.settings.deadlines import ExpiredMode
from worker.streaming.dead_letter_limit import DeadLetterLimit
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.partition import PartitionProcessor
from worker.streaming.past_deadline_reporter import PastDeadlineReporter

NOW = 1_800_000_000.0
MODES: list[ExpiredMode] = ["dead_letter", "drop", "answer"]


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


def question(offset: int, expires_at: str | None, *headers: Header, **more: Any) -> InputRecord:
    value = {"question": f"0-{offset}", "context": "c", "expires_at": expires_at}
    sent = record(offset, value=json.dumps(value).encode(), **more)
    return replace(sent, headers=headers)


def past_deadline(mode: str) -> float:
    return REGISTRY.get_sample_value("qa_past_deadline_records_total", {"mode": mode}) or 0.0


@dataclass
class Worker(TraceListener):
    """One partition of a worker at the time NOW."""

    expired: ExpiredMode = "dead_letter"
    max_age_seconds: float | None = None
    engine: StubEngine = field(default_factory=StubEngine)
    limit: DeadLetterLimit | None = None
    traces: list[RecordTrace] = field(default_factory=list)

    def on_start(self, trace: RecordTrace) -> None: ...

    def on_end(self, trace: RecordTrace) -> None:
        self.traces.append(trace)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[PartitionProcessor, FakeDelivery]]:
        delivery = FakeDelivery()
        delivery.traces = TraceDispatcher(self)
        policy = DeadlinePolicy(self.expired, self.max_age_seconds, lambda: NOW)
        shared = context(self.engine, delivery, dead_letter_limit=self.limit, deadlines=policy)
        partition = PartitionProcessor(FIRST, shared)
        task = asyncio.create_task(partition.run())
        yield partition, delivery
        partition.close()
        task.cancel()
        await asyncio.wait([task])

    async def outcomes(self, *records: InputRecord) -> list[tuple[str, int]]:
        """Of each record: its reason, or `answered`; and the number of its outputs."""
        async with self.running() as (partition, delivery):
            for each in records:
                partition.add(each)
            await partition.drain()
        return [(str(each.reason or ANSWERED), len(each.outputs)) for _, each in delivery.published]


@pytest.mark.parametrize(
    ("mode", "expired"),
    [("dead_letter", ("expired", 1)), ("drop", ("expired", 0)), ("answer", ("answered", 1))],
)
async def test_an_expired_question_has_the_outcome_of_the_setting(
    mode: ExpiredMode, expired: tuple[str, int]
) -> None:
    worker, before = Worker(mode), past_deadline(mode)
    outcomes = await worker.outcomes(
        question(0, at(-1)), question(1, at(1)), question(2, None), question(3, at(-1000))
    )
    assert outcomes == [expired, ("answered", 1), ("answered", 1), expired]
    assert past_deadline(mode) == before + 2
    assert len(worker.engine.seen) == (4 if mode == "answer" else 2)
    assert [(trace.outcome, trace.expired) for trace in worker.traces] == [
        (expired[0], mode),
        ("answered", ""),
        ("answered", ""),
        (expired[0], mode),
    ]
    assert [trace.deadline for trace in worker.traces] == [NOW - 1, NOW + 1, None, NOW - 1000]
    published = [any(stage.name == "publish" for stage in each.stages) for each in worker.traces]
    assert published == [bool(outputs) for _, outputs in outcomes]


async def test_a_dead_letter_of_an_expired_question_names_the_deadline() -> None:
    async with Worker().running() as (partition, delivery):
        partition.add(question(0, at(-1)))
        await partition.drain()
    (dead_letter,) = delivery.published[0][1].outputs
    headers = dict(dead_letter.headers)
    assert headers["qa.reason"] == b"expired"
    assert headers["__connect.errors.exception.message"] == (
        f"the deadline {at(-1)} passed before the model read the event".encode()
    )


async def test_an_engines_rejection_leads_to_the_outcome_of_the_setting() -> None:
    class Late(StubEngine):
        def submit(self, event: Any, **more: Any) -> Any:
            future = super().submit(event, **more)
            deadline = Deadline.of(event)
            assert deadline is not None
            self.held.pop(event.question)
            future.set_exception(deadline.rejection())
            return future

    for mode in ("dead_letter", "drop"):
        worker = Worker(mode, engine=Late(holds=lambda _: True))
        assert await worker.outcomes(question(0, at(1))) == [("expired", int(mode != "drop"))]


async def test_an_answer_counts_as_late_if_it_expired_before_inference() -> None:
    class Slow(StubEngine):
        """Runs the windows of each question two seconds after NOW."""

        def submit(self, event: Any, **more: Any) -> Any:
            assert event.expires_at is None, "the engine would reject it"
            future = super().submit(event, **more)
            began = int((NOW + 2) * 1e9)
            batch = BatchTiming(began, began + 1, events=1, windows=1, padded_tokens=9)
            self.held.pop(event.question)
            future.set_result(ReadResult(answer_to(event), ReadTimings(batches=[batch])))
            return future

    worker, before = Worker("answer", engine=Slow(holds=lambda _: True)), past_deadline("answer")
    outcomes = await worker.outcomes(*(question(n, at(n)) for n in range(4)))
    assert outcomes == [("answered", 1)] * 4
    assert past_deadline("answer") == before + 2


@pytest.mark.parametrize("mode", MODES)
async def test_expired_questions_do_not_count_for_the_dead_letter_limit(mode: ExpiredMode) -> None:
    limit = DeadLetterLimit(records=3, ratio=0.5)
    outcomes = await Worker(mode, limit=limit).outcomes(*(question(n, at(-1)) for n in range(20)))
    assert len(outcomes) == 20
    # Only answers have filled the window of three records.
    assert limit.check([Reason.SCHEMA, Reason.SCHEMA])[0] == (1 if mode == "answer" else 2)


async def test_the_maximum_age_counts_from_the_records_timestamp() -> None:
    worker = Worker(max_age_seconds=60)
    now = int(NOW * 1000)
    outcomes = await worker.outcomes(
        question(0, None, produced_ms=now - 60_001),
        question(1, None, produced_ms=now - 60_000),
        question(2, at(-1), produced_ms=now),
        question(3, at(5000), produced_ms=now - 70_000),
        question(4, None),  # without a timestamp
        question(5, None, produced_ms=2**63 - 1),
    )
    answered = ("answered", 1)
    assert outcomes == [("expired", 1), answered, *[("expired", 1)] * 2, answered, answered]


@pytest.mark.parametrize("mode", MODES)
async def test_a_replayed_question_has_no_deadline(mode: ExpiredMode) -> None:
    worker, before = Worker(mode, max_age_seconds=1), past_deadline(mode)
    replayed = question(0, at(-1), (HEADER, at(-2).encode()), (REPLAY_OF, b"d-0-0"), produced_ms=0)
    assert await worker.outcomes(replayed) == [("answered", 1)]
    assert past_deadline(mode) == before


async def test_a_question_that_is_not_valid_does_not_expire() -> None:
    outcomes = await Worker("drop").outcomes(
        question(0, at(-1), (HEADER, b"noon")), record(1, value=b"{"), question(2, at(-1))
    )
    assert outcomes == [("schema", 1), ("not_json", 1), ("expired", 0)]


async def test_the_log_has_one_line_for_many_expired_questions() -> None:
    reporter = PastDeadlineReporter()
    with capture_logs() as logs:
        await Worker("drop").outcomes(*(question(n, at(-1)) for n in range(50)))
        reporter.report()
        reporter.report()
    assert [each for each in logs if each["log_level"] != "debug"] == [
        {"event": "past_deadline", "log_level": "warning", "records": 50, "mode": "drop"}
    ]


TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES | st.none(), st.none() | st.integers(0, 2**63 - 1), st.none() | st.floats(1e-3, 1e300))
def test_any_deadline_and_timestamp_lead_to_the_earlier_time(
    expires_at: datetime | None, produced_ms: int | None, max_age: float | None
) -> None:
    policy = DeadlinePolicy("dead_letter", max_age, lambda: NOW)
    event = Question(question="q", context="c", expires_at=expires_at)
    effective, deadline = policy.apply(event, record(0, produced_ms=produced_ms))
    times = [] if expires_at is None else [expires_at.timestamp()]
    if produced_ms is not None and max_age is not None:
        times.append(produced_ms / 1000 + max_age)
    if deadline is None:
        assert not times or min(times) > 253402300799
    else:
        assert deadline.seconds == pytest.approx(min(times), abs=1e-3)
        assert effective.expires_at == deadline.time
