"""Ask one question through Kafka, with aiokafka: `python ask.py QUESTION CONTEXT`.

Prints the answer's JSON, or what was wrong with the question. Needs `pip install aiokafka`.
From the environment: KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC,
QA_DEAD_LETTERS_TOPIC.
"""

import asyncio
import json
import os
import sys
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
QUESTIONS = os.environ.get("QA_QUESTIONS_TOPIC", "qa.questions")
ANSWERS = os.environ.get("QA_ANSWERS_TOPIC", "qa.answers")
DEAD_LETTERS = os.environ.get("QA_DEAD_LETTERS_TOPIC", "qa.questions.dead")

SECONDS = 60


async def ask(question: str, context: str) -> str:
    """The answer's JSON. Raises `ValueError` for a question that is rejected, `TimeoutError`."""
    mark = uuid.uuid4().hex.encode()
    # Answers leave in transactions: whoever reads uncommitted may see one that is taken back.
    consumer = AIOKafkaConsumer(bootstrap_servers=SERVERS, isolation_level="read_committed")
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True)
    async with consumer, producer, asyncio.timeout(SECONDS):
        await at_the_end(consumer, producer)
        await producer.send_and_wait(
            QUESTIONS,
            json.dumps({"question": question, "context": context}).encode(),
            # Questions with one key are answered in their order, under that key.
            key=b"example",
            # Comes back on the answer, as traceparent and some more do.
            headers=[("correlation-id", mark)],
        )
        async for record in consumer:
            headers = dict(record.headers)
            if headers.get("correlation-id") != mark:
                continue
            if record.topic == DEAD_LETTERS:
                why = headers["__connect.errors.exception.message"].decode()
                raise ValueError(f"{headers['qa.reason'].decode()}: {why}")
            return str(record.value.decode())
    raise AssertionError("a consumer ends only when it is stopped")


async def at_the_end(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    """Let the consumer see what comes from now on, before anything is sent."""
    partitions = [
        TopicPartition(topic, number)
        for topic in (ANSWERS, DEAD_LETTERS)
        for number in await producer.partitions_for(topic)
    ]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)


if __name__ == "__main__":
    _, asked, about = sys.argv
    try:
        print(asyncio.run(ask(asked, about)))
    except ValueError as rejected:
        sys.exit(f"rejected: {rejected}")
    except TimeoutError:
        sys.exit(f"no answer within {SECONDS} s: is a worker running?")
