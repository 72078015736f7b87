"""Records and batches that the client cannot read: their neighbours are answered, on a broker."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.brokers.apache import ApacheKafka
from tests.kafka.raw_batches import batch, damage_length, flip_last_byte, produce, record
from tests.schemas.valid import faults, published
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka import stopped_partitions

pytestmark = pytest.mark.broker

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerWithFiles:
    """A broker whose log segments tests damage: each those of its own topics."""

    bootstrap_servers: str
    data: Path

    def segment(self, topic: str, partition: int = 0) -> Path:
        return self.data / f"{topic}-{partition}" / f"{0:020}.log"


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerWithFiles]:
    data = tmp_path_factory.mktemp("kafka") / "data"
    with ApacheKafka(properties={"log.dirs": str(data)}) as kafka:
        yield BrokerWithFiles(kafka.bootstrap_servers, data)


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    mode: str = request.param
    return mode


async def ids(topics: Topics) -> list[str]:
    return sorted(json.loads(each.value)["id"] for each in await topics.answers())


async def test_header_name_that_is_not_utf8_is_a_dead_letter(
    topics: Topics, running: Running
) -> None:
    bad = record(1, event(1), key=b"key", headers=[(b"ok", b"1"), (b"na\xffme", b"v")])
    poisoned = batch([record(0, event(0)), bad, record(2, event(2))], codec="zstd")
    questions = topics.settings.qa.questions_topic
    await topics.send([event(10)], partition=1)
    assert await produce(topics.servers, questions, 0, poisoned) == 0
    await topics.send([event(3)], partition=0)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 4, 1: 1})
    async with running(topics.settings, StubEngine()):  # it is not read again
        await topics.send([event(4)], partition=0)
        await topics.committed_are({0: 5, 1: 1})
    assert await ids(topics) == ["q-0", "q-10", "q-2", "q-3", "q-4"]
    (letter,) = await topics.dead_letters()
    assert (letter.key, letter.value) == (b"key", event(1))
    assert letter.headers[:2] == (("ok", b"1"), ("na\\xffme", b"v"))
    headers = {name: text.decode() for name, text in letter.headers}
    assert headers["qa.reason"] == "undecodable"
    assert "header 2 is not UTF-8" in headers["__connect.errors.exception.message"]
    at = [headers[f"__connect.errors.{name}"] for name in ("topic", "partition", "offset")]
    assert at == [questions, "0", "1"]
    assert faults(published("dead-letter-headers"), headers) == []


async def test_batch_that_decompresses_to_too_much_is_one_dead_letter(
    topics: Topics, running: Running
) -> None:
    questions = topics.settings.qa.questions_topic
    await topics.send([event(0)], partition=0)
    bomb = batch([record(n, b"a" * MIB) for n in range(17)], codec="zstd")
    assert await produce(topics.servers, questions, 0, bomb) == 1
    await topics.send([event(1)], partition=0)
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 19, 1: 0})
    assert await ids(topics) == ["q-0", "q-1"]
    (letter,) = await topics.dead_letters()
    headers = {name: text.decode() for name, text in letter.headers}
    assert letter.value is None
    assert headers["qa.reason"] == "unreadable_batch"
    assert (headers["__connect.errors.offset"], headers["qa.offset.last"]) == ("1", "17")
    assert "QA_MAX_BATCH_BYTES" in headers["__connect.errors.exception.message"]
    assert faults(published("dead-letter-headers"), headers) == []


async def test_corrupt_batch_stops_its_partition_alone(
    damaged: BrokerWithFiles,
    delivery: str,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopped_partitions, "RETRY_SECONDS", 0.2)
    engine = StubEngine()
    async with Topics(damaged.bootstrap_servers, {"QA_DELIVERY": delivery}) as topics:
        await topics.create()
        questions = topics.settings.qa.questions_topic
        log = damaged.segment(questions)
        await topics.send([event(0)], partition=0)
        corrupt = batch([record(n, event(1 + n)) for n in range(3)])
        assert await produce(topics.servers, questions, 0, corrupt) == 1
        await topics.send([event(4)], partition=0)
        flip_last_byte(log, offset=2)
        async with running(topics.settings, engine) as worker:
            await topics.send([event(10)], partition=1)
            await topics.committed_are({0: 1, 1: 1})
            name = f"{questions} partition 0"
            reason = {name: "offset 1: its CRC is wrong"}
            await until(lambda: worker.health.stopped_partitions == reason, "health says so")
            labels = {"topic": questions, "partition": "0"}
            assert REGISTRY.get_sample_value("qa_partition_stopped", labels) == 1
            for number in (11, 12):
                await topics.send([event(number)], partition=1)
            await topics.committed_are({0: 1, 1: 3})
            flip_last_byte(log, offset=2)  # it was corrupt in transit only
            await topics.committed_are({0: 5, 1: 3})
            assert REGISTRY.get_sample_value("qa_partition_stopped", labels) is None
            await until(lambda: not worker.health.stopped_partitions, "health says so")
        assert await ids(topics) == sorted(f"q-{n}" for n in (0, 1, 2, 3, 4, 10, 11, 12))
        assert await topics.dead_letters() == []


async def test_corrupt_batch_is_skipped_if_the_setting_says_so(
    damaged: BrokerWithFiles, delivery: str, running: Running
) -> None:
    environment = {"QA_DELIVERY": delivery, "QA_SKIP_CORRUPT_BATCHES": "true"}
    async with Topics(damaged.bootstrap_servers, environment, partitions=1) as topics:
        await topics.create()
        questions = topics.settings.qa.questions_topic
        await topics.send([event(0)])
        corrupt = batch([record(n, event(1 + n)) for n in range(3)], codec="lz4")
        assert await produce(topics.servers, questions, 0, corrupt) == 1
        await topics.send([event(4)])
        flip_last_byte(damaged.segment(questions), offset=3)
        for _ in range(2):
            async with running(topics.settings, StubEngine()):
                await topics.committed_are({0: 5})
        assert await ids(topics) == ["q-0", "q-4"]
        (letter,) = await topics.dead_letters()
        headers = {name: text.decode() for name, text in letter.headers}
        assert headers["qa.reason"] == "unreadable_batch"
        assert (headers["__connect.errors.offset"], headers["qa.offset.last"]) == ("1", "3")
        message = headers["__connect.errors.exception.message"]
        assert message == "the batch of offsets 1 to 3 cannot be read: its CRC is wrong"


async def test_batch_that_its_broker_cannot_read_stops_its_partition_alone(
    damaged: BrokerWithFiles, running: Running
) -> None:
    async with Topics(damaged.bootstrap_servers, {}) as topics:
        await topics.create()
        questions = topics.settings.qa.questions_topic
        await topics.send([event(0)], partition=0)
        damage_length(damaged.segment(questions), offset=0)
        async with running(topics.settings, StubEngine()) as worker:
            await topics.send([event(1)], partition=1)
            await topics.committed_are({0: 0, 1: 1})
            why = "offset 0: its broker cannot read it (CORRUPT_MESSAGE)"
            stopped = {f"{questions} partition 0": why}
            await until(lambda: worker.health.stopped_partitions == stopped, "health says so")
