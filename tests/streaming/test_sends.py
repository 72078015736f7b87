"""The messages in the trace of a record: what was sent, what failed, which contexts they carry."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError, NotLeaderForPartitionError
from structlog.testing import capture_logs

from schemas.rejection import Header
from tests.kafka.described_topics import Brokers
from tests.streaming.fakes import BEGAN, FIRST, NO_JSON, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import until
from worker.dead_letters.dead_letter import DeadLetter
from worker.kafka.refusals import Refusal
from worker.observability.client_operations import Poll
from worker.observability.record_trace import Commit, RecordTrace, TraceDispatcher, TraceListener
from worker.streaming.delivery.base import NotDeliveredError
from worker.streaming.delivery.commit_trace import CommitTrace
from worker.streaming.partition import PartitionProcessor

OWN: Header = ("TraceParent", b"the question's")


class Propagating(TraceListener):
    """Numbers the contexts that messages carry."""

    def __init__(self) -> None:
        self.ended: list[RecordTrace] = []
        self.commits: list[Commit] = []
        self._numbers = itertools.count(1)

    def on_start(self, trace: RecordTrace) -> None:
        trace.new_context = lambda: [("traceparent", str(next(self._numbers)).encode())]

    def on_commit(self, commit: Commit) -> None:
        self.commits.append(commit)

    def on_end(self, trace: RecordTrace) -> None:
        self.ended.append(trace)


class Traced:
    """One partition whose traces are kept."""

    def __init__(self, **environment: str) -> None:
        self.listener = Propagating()
        self.delivery = FakeDelivery()
        self.delivery.traces = TraceDispatcher(self.listener)
        brokers = Brokers()
        brokers.leaders = {"replies": [1]}
        shared = context(
            StubEngine(), self.delivery, environment=environment, foreign_topics=brokers.topics
        )
        self.partition = PartitionProcessor(FIRST, shared)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.partition.run())
        yield
        self.partition.close()
        task.cancel()
        await asyncio.wait([task])

    @property
    def carried(self) -> list[tuple[str, list[bytes | None]]]:
        """Topic and contexts of each message that was published."""
        return [
            (output.topic, [text for name, text in output.headers if name.lower() == "traceparent"])
            for _, each in self.delivery.published
            for output in each.outputs
        ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("late"), "TimeoutError"),
        (KafkaConnectionError("gone"), "KafkaConnectionError"),
        (NotLeaderForPartitionError(), "NOT_LEADER_OR_FOLLOWER"),
    ],
)
async def test_messages_of_a_failed_delivery_have_its_error(error: Exception, kind: str) -> None:
    traced = Traced()
    traced.delivery.errors = [error]
    for offset in range(2):
        traced.partition.add(record(offset))
    with pytest.raises(type(error)):
        await traced.partition.run()
    traced.partition.close()
    sends = [send for trace in traced.listener.ended for send in trace.sends]
    assert [(send.error_type, send.offset) for send in sends] == [(kind, None)] * 2


async def test_refused_answer_is_followed_by_its_dead_letter() -> None:
    traced = Traced()
    refusal = Refusal("qa.answers", "INVALID_RECORD", "no key", too_large=False)
    traced.delivery.errors = [NotDeliveredError({0: {0: refusal}})]
    async with traced.running():
        traced.partition.add(record(0))
        await traced.partition.drain()
        await until(lambda: bool(traced.listener.ended), "the record is committed")
    (trace,) = traced.listener.ended
    refused, letter = trace.sends
    assert (refused.topic, refused.error_type, refused.error) == (
        "qa.answers",
        "INVALID_RECORD",
        "no key",
    )
    assert (letter.topic, letter.error_type) == ("qa.questions.dead", "")
    assert (letter.partition, letter.offset, letter.began) == (0, 0, BEGAN)
    assert trace.detail == "qa.answers refuses the record: INVALID_RECORD: no key"


async def test_messages_whose_delivery_is_cancelled_say_so() -> None:
    """Their consumers may see them: they were sent, and the broker's answer is not known."""
    traced = Traced()
    traced.delivery.acknowledging.clear()
    async with traced.running():
        traced.partition.add(record(0))
        await until(lambda: bool(traced.partition._delivering[0]), "the delivery has begun")
    (trace,) = traced.listener.ended
    assert [send.error_type for send in trace.sends] == ["CancelledError"]


async def test_record_that_is_not_being_delivered_has_no_messages() -> None:
    traced = Traced()
    traced.partition.add(record(0))
    traced.partition.close()
    (trace,) = traced.listener.ended
    assert trace.sends == []


@pytest.mark.parametrize("headers", [[], [OWN]])
async def test_each_answer_and_reply_carries_its_own_context(headers: Sequence[Header]) -> None:
    traced = Traced(QA_REPLY_TOPICS="replies", QA_REPLY_ALSO="true")
    asked: list[Header] = [*headers, ("reply_to", b"replies")]
    async with traced.running():
        traced.partition.add(replace(record(0), headers=asked))
        traced.partition.add(replace(record(1), headers=headers))
        await traced.partition.drain()
    assert [topic for topic, _ in traced.carried] == ["replies", "qa.answers", "qa.answers"]
    contexts = [context for _, context in traced.carried]
    assert all(len(each) == 1 for each in contexts)
    assert len({each[0] for each in contexts}) == 3
    assert OWN[1] not in {each[0] for each in contexts}


async def test_error_reply_after_a_refusal_carries_its_own_context() -> None:
    traced = Traced(QA_REPLY_TOPICS="replies")
    refusal = Refusal("replies", "MESSAGE_TOO_LARGE", "", too_large=True)
    traced.delivery.errors = [NotDeliveredError({0: {0: refusal}})]
    async with traced.running():
        traced.partition.add(replace(record(0), headers=[OWN, ("reply_to", b"replies")]))
        await traced.partition.drain()
    (letter, kept), (replies, (own,)) = traced.carried
    assert (letter, kept) == ("qa.questions.dead", [OWN[1]])
    assert replies == "replies"
    assert own not in (None, OWN[1])


@pytest.mark.parametrize(
    ("environment", "value"),
    [({}, NO_JSON), ({"QA_UNSURE_TOPIC": "qa.unsure", "QA_MIN_SCORE": "1"}, None)],
)
async def test_record_that_is_sent_on_gets_a_context_only_if_it_has_none(
    environment: dict[str, str], value: bytes | None
) -> None:
    traced = Traced(**environment)
    async with traced.running():
        for offset, headers in enumerate(([OWN], [])):
            asked = record(offset) if value is None else record(offset, value=value)
            traced.partition.add(replace(asked, headers=headers))
        await traced.partition.drain()
    (_, kept), (_, (own,)) = traced.carried
    assert kept == [OWN[1]]
    assert own not in (None, OWN[1])


@pytest.mark.parametrize("headers", [(), (("a", b"1"), ("a", None))])
async def test_dead_letter_without_headers_is_still_that_of_its_question(
    headers: tuple[Header, ...],
) -> None:
    """The replay compares the number of headers: the worker's context is not the question's."""
    traced = Traced()
    too_large = Refusal("qa.questions.dead", "MESSAGE_TOO_LARGE", "why", too_large=True)
    traced.delivery.errors = [NotDeliveredError({0: {0: too_large}}) for _ in range(2)]
    question = replace(record(0, value=NO_JSON), headers=headers)
    async with traced.running():
        traced.partition.add(question)
        await traced.partition.drain()
    ((_, processed),) = traced.delivery.published
    (sent,) = processed.outputs
    letter = DeadLetter.from_record(
        SimpleNamespace(
            topic=sent.topic,
            partition=0,
            offset=0,
            timestamp=0,
            key=sent.key,
            value=sent.value,
            headers=sent.headers,
        )
    )
    assert not letter.question_headers
    assert letter.complete(question.key, question.value, headers) is not None


class Failing(TraceListener):
    """Raises at whatever it is told."""

    def on_start(self, trace: RecordTrace) -> None:
        raise LookupError(trace)

    def on_end(self, trace: RecordTrace) -> None:
        raise LookupError(trace)

    def on_commit(self, commit: Commit) -> None:
        raise LookupError(commit)

    def on_poll(self, poll: Poll) -> None:
        raise LookupError(poll)


async def test_a_listener_that_raises_disturbs_no_delivery_and_no_other_listener() -> None:
    traced = Traced()
    traced.delivery.traces = traces = TraceDispatcher(Failing(), traced.listener)
    traced.partition = PartitionProcessor(FIRST, context(StubEngine(), traced.delivery))
    with capture_logs() as logs:
        traces.polled(Poll(0, 1, [record(0)]))
        async with traced.running():
            traced.partition.add(record(0))
            await traced.partition.drain()
            await until(lambda: bool(traced.listener.ended), "the record is committed")
    assert [topic for topic, _ in traced.carried] == ["qa.answers"]
    failed = [each["listener"] for each in logs if each["event"] == "trace_listener_failed"]
    assert set(failed) == {"Failing"}
    assert len(failed) >= 3


async def test_commit_names_its_partition_and_records() -> None:
    traced = Traced()
    async with traced.running():
        traced.partition.add(record(0))
        await traced.partition.drain()
        await until(lambda: bool(traced.listener.ended), "the record is committed")
    with_records = [commit for commit in traced.listener.commits if commit.records]
    assert [(each.partitions, each.traces) for each in with_records] == [
        ([(FIRST.topic, FIRST.partition)], traced.listener.ended)
    ]


def refused_batch() -> NotDeliveredError:
    error = NotDeliveredError({})
    error.__cause__ = NotLeaderForPartitionError()
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [(TimeoutError("late"), "TimeoutError"), (refused_batch(), "NOT_LEADER_OR_FOLLOWER")],
)
def test_failed_commit_has_the_error(error: Exception, kind: str) -> None:
    listener = Propagating()
    with (
        pytest.raises(type(error)),
        CommitTrace(TraceDispatcher(listener), [FIRST], 3),
    ):
        raise error
    (commit,) = listener.commits
    assert (commit.records, commit.traces, commit.error_type) == (3, [], kind)


def test_cancelled_commit_is_not_reported() -> None:
    listener = Propagating()
    with (
        pytest.raises(asyncio.CancelledError),
        CommitTrace(TraceDispatcher(listener), [FIRST], 3),
    ):
        raise asyncio.CancelledError
    assert listener.commits == []
