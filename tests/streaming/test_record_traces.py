"""Trace listeners receive the start of each record, and its end once."""

from collections import Counter

import pytest

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topic_configs import configure
from tests.streaming.topics import Topics, event, until
from worker.kafka import topics as kafka_topics
from worker.observability.record_trace import ANSWERED, DROPPED, Commit, RecordTrace, TraceListener


class Listener(TraceListener):
    """Keeps the traces."""

    def __init__(self) -> None:
        self.open: list[RecordTrace] = []
        self.ends: list[RecordTrace] = []
        self.commits: list[Commit] = []

    def on_start(self, trace: RecordTrace) -> None:
        self.open.append(trace)

    def on_end(self, trace: RecordTrace) -> None:
        self.open.remove(trace)
        self.ends.append(trace)

    def on_commit(self, commit: Commit) -> None:
        assert all(trace in self.open for trace in commit.traces)
        self.commits.append(commit)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(trace.outcome for trace in self.ends)


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_trace_ends_at_the_commit_of_its_offset(
    topics: Topics, running: Running, delivery: str
) -> None:
    listener = Listener()
    settings = topics.settings
    if delivery == "at_least_once":
        # Published records wait for the commit after the third one.
        settings = topics.with_(QA_COMMIT_INTERVAL_MS="3600000", QA_COMMIT_RECORDS="3")
    async with running(settings, StubEngine(), listener):
        await topics.send([event(0), b"{"], partition=0)
        await until(lambda: len(listener.open) + len(listener.ends) == 2, "both are in flight")
        if delivery == "at_least_once":
            await until(lambda: topics.has(1), "the answer is published")
            assert not listener.ends
        await topics.send([event(2)], partition=0)
        await until(lambda: len(listener.ends) == 3, "all are committed")

    answered, rejected, _ = listener.ends
    assert [trace.offset for trace in listener.ends] == [0, 1, 2]
    assert (answered.outcome, answered.id) == (ANSWERED, "q-0")
    assert rejected.outcome == "not_json"
    assert [stage.name for stage in answered.stages] == ["decode", "publish"]
    assert answered.received < answered.ended
    committed = [trace.offset for commit in listener.commits for trace in commit.traces]
    assert committed == [0, 1, 2]
    assert sum(commit.records for commit in listener.commits) == 3
    # Where the leader says that it put the answer.
    (sent,) = answered.sends
    answers = {(each.partition, each.offset): each.key for each in await topics.answers()}
    assert sent.topic == settings.qa.answers_topic
    assert sent.partition is not None
    assert sent.offset is not None
    assert answers[sent.partition, sent.offset] == sent.key
    assert [send.topic for send in rejected.sends] == [settings.qa.dead_letters_topic]
    assert not any(send.error_type for trace in listener.ends for send in trace.sends)


async def test_traces_of_discarded_records_end_as_dropped(topics: Topics, running: Running) -> None:
    listener = Listener()
    engine = StubEngine(holds=lambda question: question.question.endswith("1?"))
    async with running(topics.with_(QA_DRAIN_SECONDS="0.1"), engine, listener):
        await topics.send([event(n) for n in range(4)], partition=0)
        # The first is committed; the drain is too short for the others.
        await until(lambda: len(listener.open) == 3 and len(listener.ends) == 1, "three wait")
    engine.release_all()

    assert not listener.open
    # The records behind the unanswered one are not published.
    assert listener.outcomes == {ANSWERED: 1, DROPPED: 3}


async def test_refused_answer_and_its_dead_letter_are_in_the_trace(
    topics: Topics, running: Running, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worker does not learn that the topic takes no record without a key.
    monkeypatch.setattr(kafka_topics, "CLEANUP_POLICY", "no.such.property")
    await configure(topics.servers, topics.settings.qa.answers_topic, cleanup_policy="compact")
    listener = Listener()
    await topics.send([event(0)], partition=0)
    await topics.send([event(1)], partition=0, key=None)
    async with running(topics.with_(QA_DELIVERY=delivery), StubEngine(), listener):
        await until(lambda: len(listener.ends) == 2, "both are committed")

    qa = topics.settings.qa
    sends = [
        [(send.topic, send.error_type, send.offset is not None) for send in trace.sends]
        for trace in sorted(listener.ends, key=lambda trace: trace.offset)
    ]
    assert sends == [
        [(qa.answers_topic, "", True)],
        [(qa.answers_topic, "INVALID_RECORD", False), (qa.dead_letters_topic, "", True)],
    ]
    # A transaction that was aborted is a commit that failed; at least once, nothing was committed.
    errors = {commit.error_type for commit in listener.commits}
    assert errors == ({"", "RecordsRefusedError"} if delivery == "exactly_once" else {""})
