"""Ask one question through Kafka, with aiokafka: `python ask.py QUESTION CONTEXT...`. Several
contexts are sent as passages; the answer's `context_index` counts them from 0.

Prints the answer event, or why the question was rejected. Needs `pip install aiokafka`.
Environment variables: KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC,
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


async def ask(question: str, *contexts: str) -> str:
    """The answer event as JSON. Raises `ValueError` if the question is rejected, `TimeoutError`."""
    event: dict[str, object] = {"question": question}
    if len(contexts) == 1:
        event["context"] = contexts[0]
    else:
        event["contexts"] = [{"text": text} for text in contexts]
    correlation_id = uuid.uuid4().hex.encode()
    # The worker writes answers in transactions; without read_committed, a consumer may see answers
    # of an aborted one.
    consumer = AIOKafkaConsumer(bootstrap_servers=SERVERS, isolation_level="read_committed")
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True)
    async with consumer, producer, asyncio.timeout(SECONDS):
        await seek_to_end(consumer, producer)
        await producer.send_and_wait(
            QUESTIONS,
            json.dumps(event).encode(),
            # Answers have the key of their question; questions with the same key keep their order.
            key=b"example",
            # The worker copies this header to the answer.
            headers=[("correlation-id", correlation_id)],
        )
        async for record in consumer:
            headers = dict(record.headers)
            if headers.get("correlation-id") != correlation_id:
                continue
            if record.topic == DEAD_LETTERS:
                detail = headers["__connect.errors.exception.message"].decode()
                raise ValueError(f"{headers['qa.reason'].decode()}: {detail}")
            return str(record.value.decode())
    raise AssertionError("the iteration ends only when the consumer is stopped")


async def seek_to_end(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    """Move the consumer to the current end of both output topics, before the question is sent."""
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
    _, question_argument, *context_arguments = sys.argv
    try:
        print(asyncio.run(ask(question_argument, *context_arguments)))
    except ValueError as rejected:
        sys.exit(f"rejected: {rejected}")
    except TimeoutError:
        sys.exit(f"no answer within {SECONDS} s: is a worker running?")
