"""Output records on a broker: an answer in the format of its question, or a dead letter with the
question's bytes.
"""

import json

import pytest

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until


async def test_answer_keeps_key_and_correlation_headers(topics: Topics, running: Running) -> None:
    headers = [
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("Correlation-Id", b"c-1"),
        ("private", b"stays"),
    ]
    await topics.send([event(1, metadata={"n": [1, {"x": None}]})], key=b"key-1", headers=headers)
    async with running(topics.settings, StubEngine()):
        await until(lambda: topics.has(1), "the answer")
    (answer,) = await topics.answers()
    assert answer.key == b"key-1"
    assert [tuple(header) for header in answer.headers[:2]] == headers[:2]
    assert "private" not in dict(answer.headers)
    document = json.loads(answer.value)
    assert document["metadata"] == {"n": [1, {"x": None}]}
    assert document["source"]["topic"] == topics.settings.qa.questions_topic


async def test_rejected_record_becomes_a_dead_letter(topics: Topics, running: Running) -> None:
    bad = b'{"question": "Who?"'
    await topics.send([event(0), bad, event(2)], partition=0, headers=[("mine", b"\xff")])
    async with running(topics.settings, StubEngine()):
        await topics.committed_are({0: 3, 1: 0})
    assert await topics.ids() == ["q-0", "q-2"]
    (dead_letter,) = await topics.dead_letters()
    headers = dict(dead_letter.headers)
    assert (dead_letter.key, dead_letter.value) == (b"k", bad)
    assert headers["mine"] == b"\xff"
    assert headers["qa.reason"] == b"not_json"
    assert headers["__connect.errors.topic"] == topics.settings.qa.questions_topic.encode()
    assert headers["__connect.errors.partition"] == b"0"
    assert headers["__connect.errors.offset"] == b"1"


async def test_dead_letter_keeps_null_key_and_value(topics: Topics, running: Running) -> None:
    # aiokafka's producer asserts that a record has a key or a value; Kafka does not.
    await _send_nothing(topics)
    async with running(topics.settings, StubEngine()):

        async def arrived() -> bool:
            return len(await topics.dead_letters()) == 1

        await until(arrived, "the dead letter")
    (dead_letter,) = await topics.dead_letters()
    assert (dead_letter.key, dead_letter.value) == (None, None)
    assert dict(dead_letter.headers)["qa.reason"] == b"null_value"


async def test_answer_too_large_for_its_topic_becomes_a_dead_letter(
    topics: Topics, running: Running
) -> None:
    limit = dict.fromkeys(("QA_MAX_RECORD_BYTES",), str(4 * 2**20))
    async with Topics(
        topics.servers, {**limit, "QA_ANSWERS_TOPIC": f"small-{id(topics)}"}
    ) as small:
        await _create_with_limits(small, answers=20_000, dead=8 * 2**20)
        value = event(1, metadata={"fill": "x" * 30_000})
        await small.send([value, event(2)], partition=0)
        async with running(small.settings, StubEngine()):
            await until(lambda: small.has(1), "the answer to the other question")
        assert await small.ids() == ["q-2"]
        (dead_letter,) = await small.dead_letters()
        assert dict(dead_letter.headers)["qa.reason"] == b"answer_too_large"
        assert dead_letter.value == value


async def test_dead_letter_too_large_for_its_topic_omits_the_value(
    topics: Topics, running: Running
) -> None:
    async with Topics(
        topics.servers, {"QA_DEAD_LETTERS_TOPIC": f"small-dead-{id(topics)}"}
    ) as small:
        await _create_with_limits(small, answers=2**20, dead=20_000)
        value = b"[" * 30_000
        await small.send([value, event(2)], partition=0)
        async with running(small.settings, StubEngine()):
            await until(lambda: small.has(1), "the answer to the other question")
        (dead_letter,) = await small.dead_letters()
        headers = dict(dead_letter.headers)
        assert dead_letter.value is None
        assert headers["qa.value.omitted"] == b"30000"
        assert headers["__connect.errors.offset"] == b"0"


@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_cloudevent_is_answered_with_a_cloudevent(
    topics: Topics, running: Running, mode: str
) -> None:
    data = {"question": "Who is it?", "context": "Person1 lives here."}
    attributes = {"specversion": "1.0", "id": "ce-1", "source": "/test", "type": "qa.question"}
    if mode == "structured":
        value = json.dumps({**attributes, "data": data}).encode()
        headers = [("content-type", b"application/cloudevents+json")]
    else:
        value = json.dumps(data).encode()
        headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    await topics.send([value], headers=headers)
    async with running(topics.settings, StubEngine()):
        await until(lambda: topics.has(1), "the answer")
    (record,) = await topics.answers()
    found = dict(record.headers)
    document = json.loads(record.value)
    if mode == "structured":
        assert found["content-type"] == b"application/cloudevents+json"
        assert (document["id"], document["type"]) == ("ce-1", "qa.answer")
        assert document["data"]["answer"] == "Person1"
    else:
        assert (found["ce_id"], found["ce_type"]) == (b"ce-1", b"qa.answer")
        assert document["id"] == "ce-1"


async def _create_with_limits(topics: Topics, *, answers: int, dead: int) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    qa = topics.settings.qa
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.servers)
    await admin.start()
    try:
        sizes = {qa.questions_topic: 2**20, qa.answers_topic: answers, qa.dead_letters_topic: dead}
        response = await admin.create_topics(
            [
                NewTopic(name, topics.partitions, 1, topic_configs={"max.message.bytes": str(size)})
                for name, size in sizes.items()
            ]
        )
        assert all(code == 0 for _, code, *_ in response.topic_errors)
    finally:
        await admin.close()


async def _send_nothing(topics: Topics) -> None:
    """A record with neither key nor value."""
    from aiokafka import AIOKafkaProducer

    nothing = object()
    async with AIOKafkaProducer(
        bootstrap_servers=topics.servers,
        value_serializer=lambda value: None if value is nothing else value,
    ) as producer:
        await producer.send_and_wait(topics.settings.qa.questions_topic, nothing, partition=0)
