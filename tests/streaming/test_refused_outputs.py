"""An output that its topic never takes stops neither its partition nor another one."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.streaming.conftest import Running, RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topic_configs import configure
from tests.streaming.topics import TIMEOUT_SECONDS, Topics, event
from worker.kafka import records
from worker.kafka import topics as kafka_topics
from worker.kafka.errors import StreamingError

NO_JSON = b"[" * 2_000


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def restarts() -> float:
    """Restarts of partitions and sessions, so far."""
    names = ("qa_session_failures_total", "qa_partition_restarts_total")
    return sum(REGISTRY.get_sample_value(name) or 0.0 for name in names)


@pytest.fixture
def configs_unknown(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker does not learn the topics' configuration, as without DESCRIBE_CONFIGS."""
    for name in ("CLEANUP_POLICY", "MAX_MESSAGE_BYTES"):
        monkeypatch.setattr(kafka_topics, name, "no.such.property")


async def test_a_compacted_topic_gets_a_key_for_a_question_without_one(
    topics: Topics, running: Running
) -> None:
    qa = topics.settings.qa
    for topic in (qa.answers_topic, qa.dead_letters_topic):
        await configure(topics.servers, topic, cleanup_policy="compact")
    await topics.send([event(0), NO_JSON, event(1)], key=None, partition=0)
    await topics.send([event(2)], key=b"own", partition=0)
    with capture_logs() as logs:
        async with running(topics.settings, StubEngine()):
            await topics.committed_are({0: 4, 1: 0})
    named = [each["topic"] for each in logs if each["event"] == "topic_compacted"]
    assert named == [qa.answers_topic, qa.dead_letters_topic]
    keys = {json.loads(each.value)["id"]: each.key for each in await topics.answers()}
    name = qa.questions_topic
    assert keys == {"q-0": f"{name}-0-0".encode(), "q-1": f"{name}-0-2".encode(), "q-2": b"own"}
    (dead_letter,) = await topics.dead_letters()
    assert (dead_letter.key, dead_letter.value) == (f"{name}-0-1".encode(), NO_JSON)
    assert dict(dead_letter.headers)["qa.key.omitted"] == b"null"


@pytest.mark.usefixtures("configs_unknown")
async def test_a_refused_answer_becomes_a_dead_letter_and_others_answers(
    topics: Topics, running: Running
) -> None:
    await configure(topics.servers, topics.settings.qa.answers_topic, cleanup_policy="compact")
    for number in range(0, 6, 3):
        await topics.send([event(number)], partition=0)
        await topics.send([event(number + 1)], key=None, partition=0)
        await topics.send([event(number + 2)], partition=1)
    before = restarts()
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 4, 1: 2})
    assert restarts() == before
    assert sorted(await topics.ids()) == ["q-0", "q-2", "q-3", "q-5"]
    dead_letters = await topics.dead_letters()
    assert [each.value for each in dead_letters] == [event(1), event(4)]
    headers = dict(dead_letters[0].headers)
    assert headers["qa.reason"] == b"answer_refused"
    message = headers["__connect.errors.exception.message"].decode()
    assert "INVALID_RECORD: Compacted topic cannot accept message without key" in message


@pytest.mark.usefixtures("configs_unknown")
async def test_a_refused_dead_letter_becomes_a_pointer_to_its_record(
    topics: Topics, running: Running
) -> None:
    topic = topics.settings.qa.dead_letters_topic
    await configure(topics.servers, topic, cleanup_policy="compact")
    await topics.send([NO_JSON], key=None, headers=[("own", b"1")], partition=0)
    await topics.send([event(1)], partition=0)
    before = restarts()
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 2, 1: 0})
    assert restarts() == before
    assert await topics.ids() == ["q-1"]
    (dead_letter,) = await topics.dead_letters()
    headers = dict(dead_letter.headers)
    assert dead_letter.key == f"{topics.settings.qa.questions_topic}-0-0".encode()
    assert (dead_letter.value, headers["qa.reason"]) == (None, b"not_json")
    assert (headers["qa.value.omitted"], headers["qa.headers.omitted"]) == (b"2000", b"1")


@pytest.mark.parametrize(
    ("key", "headers", "omitted"),
    [
        # 20 kB by the sum of their bytes, 60 kB in the batch.
        (b"k", [("h", b"")] * 20_000, {"qa.value.omitted"}),
        (b"k", [("h", b"x" * 30_000)], {"qa.value.omitted", "qa.headers.omitted"}),
        (b"k" * 30_000, [], {"qa.value.omitted", "qa.key.omitted"}),
    ],
    ids=["many headers", "large header", "large key"],
)
async def test_a_dead_letter_of_any_shape_fits_its_topic(
    topics: Topics,
    running: Running,
    key: bytes,
    headers: list[tuple[str, bytes]],
    omitted: set[str],
) -> None:
    topic = topics.settings.qa.dead_letters_topic
    limit = 62_000 if len(headers) > 1 else 20_000
    await configure(topics.servers, topic, max_message_bytes=limit)
    await topics.send([NO_JSON], key=key, headers=headers, partition=0)
    await topics.send([event(1)], partition=0)
    before = restarts()
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 2, 1: 0})
    assert restarts() == before
    (dead_letter,) = await topics.dead_letters()
    found = {name for name, _ in dead_letter.headers if name.endswith(".omitted")}
    assert found == omitted


@pytest.mark.usefixtures("configs_unknown")
async def test_a_limit_that_the_worker_does_not_know_holds_nothing_up(
    topics: Topics, running: Running
) -> None:
    qa = topics.settings.qa
    for topic in (qa.answers_topic, qa.dead_letters_topic):
        await configure(topics.servers, topic, max_message_bytes=1_500)
    large = event(1, metadata={"fill": "x" * 2_000})
    await topics.send([event(0), large, *(event(n) for n in range(2, 20))], partition=0)
    before = restarts()
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 20, 1: 0})
    assert restarts() == before
    assert await topics.ids() == [f"q-{n}" for n in range(20) if n != 1]
    (dead_letter,) = await topics.dead_letters()
    headers = dict(dead_letter.headers)
    assert (dead_letter.value, headers["qa.reason"]) == (None, b"answer_too_large")


async def test_a_record_without_any_possible_dead_letter_ends_the_worker_by_name(
    topics: Topics, running: Running
) -> None:
    await configure(topics.servers, topics.settings.qa.dead_letters_topic, max_message_bytes=100)
    await topics.send([NO_JSON], partition=1)
    name = topics.settings.qa.questions_topic
    with pytest.raises(StreamingError, match=f"record at {name} partition 1 offset 0 .*takes 100"):
        async with running(topics.settings, StubEngine()) as worker:
            await _ended(worker)


async def test_refused_timestamps_end_the_worker_with_words_about_the_clock(
    topics: Topics, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = SimpleNamespace(time=lambda: time.time() + 7_200)
    monkeypatch.setattr(records, "time", ahead)
    await topics.send([event(0)], partition=0)
    with pytest.raises(StreamingError, match=r"this machine's timestamps: .* Set the clock"):
        async with running(topics.settings, StubEngine()) as worker:
            await _ended(worker)


async def _ended(worker: RunningWorker) -> None:
    """Leaving `running` then raises the worker's error."""
    done, _ = await asyncio.wait([worker.task], timeout=TIMEOUT_SECONDS)
    assert done
