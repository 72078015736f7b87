"""QuestionClient against a broker, without a worker: the test writes the outcomes."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict

import pytest
from aiokafka import AIOKafkaProducer

from schemas.generate.samples import ANSWER
from schemas.rejection import Reason, Rejected, dead_letter_headers
from schemas.unsure import unsure_headers
from tests.brokers.protocol import Broker
from tests.kafka.raw_batches import batch, produce, record
from tests.streaming.question_topics import two_topics
from tests.streaming.topics import Topics, until
from worker.client import UNSURE, QuestionClient
from worker.kafka.records import RecordPosition
from worker.kafka.topics import create_topics, describe_topics

FOREIGN = [
    b"{",
    b"[]",
    b"7",
    b"[" * 100_000,
    b'{"id": "no source"}',
    b'{"source": null}',
    b'{"source": {"topic": "t"}}',
    b'{"specversion": "1.0", "source": "/qa-worker/qa.questions", "data": {"id": "structured"}}',
    None,
]

POISON = batch([record(0, b"{}", headers=[(b"na\xffme", b"v")])])
BOMB = batch([record(n, b"a" * 1024 * 1024) for n in range(17)], codec="zstd")


@pytest.fixture
async def topics(broker: Broker) -> AsyncIterator[Topics]:
    async with Topics(broker.bootstrap_servers) as topics:
        await topics.create()
        yield topics


def answer_to(question: RecordPosition) -> bytes:
    return json.dumps({"answer": "Ada", "source": asdict(question)}).encode()


async def test_foreign_records_on_the_output_topics_are_ignored(topics: Topics) -> None:
    qa = topics.settings.qa
    async with (
        QuestionClient.open(topics.settings) as client,
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
    ):
        question = await client.send(b"{}")
        rejected_question = await client.send(b"{")
        for raw in (POISON, BOMB):
            for number in range(topics.partitions):
                await produce(topics.servers, qa.answers_topic, number, raw)
        for value in FOREIGN:
            await producer.send_and_wait(qa.answers_topic, value, key=b"k")
            await producer.send_and_wait(qa.dead_letters_topic, value, key=b"k")
        await producer.send_and_wait(qa.answers_topic, answer_to(question))
        rejected = Rejected(Reason.NOT_JSON, "EOF")
        headers = dead_letter_headers(rejected, **asdict(rejected_question))
        await producer.send_and_wait(qa.dead_letters_topic, b"{", headers=headers)
        answer = await client.wait_for_result(question, timeout_seconds=10)
        dead_letter = await client.wait_for_result(rejected_question, timeout_seconds=10)
    assert answer.value == answer_to(question)
    assert (dead_letter.reason, dead_letter.detail) == ("not_json", "EOF")


async def test_a_question_that_is_sent_on_is_unsure_and_its_later_answer_is_the_first_ones(
    topics: Topics,
) -> None:
    settings = topics.with_(QA_UNSURE_TOPIC=f"{topics.settings.qa.questions_topic}-unsure")
    await create_topics(settings, partitions=topics.partitions, replication=1)

    async def described() -> bool:
        return all(each.partitions for each in await describe_topics(settings))

    await until(described, "the broker describes the topics")
    unsure = settings.qa.unsure_topic or ""
    async with (
        QuestionClient.open(settings) as client,
        AIOKafkaProducer(bootstrap_servers=topics.servers) as producer,
    ):
        first, second = await client.send(b"{}"), await client.send(b"{}")
        await producer.send_and_wait(unsure, b"{}")
        headers = unsure_headers(ANSWER, **asdict(first), headers=())
        await producer.send_and_wait(unsure, b"{}", headers=headers)
        sent_on = unsure_headers(ANSWER, **asdict(second), headers=())
        value = answer_to(RecordPosition(unsure, 0, 9))
        await producer.send_and_wait(settings.qa.answers_topic, value, headers=sent_on)
        result = await client.wait_for_result(first, timeout_seconds=10)
        answer = await client.wait_for_result(second, timeout_seconds=10)
    assert result.reason == UNSURE
    assert result.detail == (
        f"the score of 'Anna Lindqvist' is 0.937500, below min_score; the question is in {unsure}"
    )
    assert (answer.reason, answer.value) == ("", value)


async def test_questions_go_to_the_first_topic_or_to_the_one_that_is_named(broker: Broker) -> None:
    async with two_topics(broker.bootstrap_servers) as (first, second):
        names = [topics.settings.qa.questions_topic for topics in (first, second)]
        for asked, expected in ((None, names[0]), (names[1], names[1])):
            async with (
                QuestionClient.open(first.settings, questions_topic=asked) as client,
                AIOKafkaProducer(bootstrap_servers=first.servers) as producer,
            ):
                question = await client.send(b"{}")
                assert question.topic == expected
                answers = first.settings.qa.answers_topic
                await producer.send_and_wait(answers, answer_to(question))
                answer = await client.wait_for_result(question, timeout_seconds=10)
                assert answer.value == answer_to(question)
