"""Ask one question in Avro, with Confluent's client and a schema registry:
`python ask_avro.py QUESTION CONTEXT...`. Several contexts are sent as passages.

Prints the answer, or why the question was rejected. The worker writes Avro: QA_ANSWER_FORMAT=avro.
Needs `pip install 'confluent-kafka[avro,schemaregistry]'`.
Environment variables: KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, QA_QUESTIONS_TOPIC,
QA_ANSWERS_TOPIC, QA_DEAD_LETTERS_TOPIC.
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
QUESTIONS = os.environ.get("QA_QUESTIONS_TOPIC", "qa.questions")
ANSWERS = os.environ.get("QA_ANSWERS_TOPIC", "qa.answers")
DEAD_LETTERS = os.environ.get("QA_DEAD_LETTERS_TOPIC", "qa.questions.dead")
REGISTRY = SchemaRegistryClient(
    {"url": os.environ.get("SCHEMA_REGISTRY_URL", "http://localhost:8081")}
)

SCHEMA = Path(__file__).parents[2] / "published" / "question.avsc"
SECONDS = 60


def ask(question: str, *contexts: str) -> Any:
    """The answer. Raises `ValueError` if the question is rejected, `TimeoutError`."""
    event: dict[str, object] = {"question": question}
    if len(contexts) == 1:
        event["context"] = contexts[0]
    else:
        event["contexts"] = [{"text": text} for text in contexts]
    # Registers the schema as the subject QUESTIONS-value; with "auto.register.schemas": False it
    # must be there.
    serialize = AvroSerializer(REGISTRY, SCHEMA.read_text())
    # By the schema that the answer names.
    deserialize = AvroDeserializer(REGISTRY)
    # Without a subscription the group is not used, but the client wants one.
    consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "example"})
    try:
        consumer.assign(ends(consumer))
        correlation_id = uuid.uuid4().hex.encode()
        producer = Producer({"bootstrap.servers": SERVERS, "enable.idempotence": True})
        producer.produce(
            QUESTIONS,
            serialize(event, SerializationContext(QUESTIONS, MessageField.VALUE)),
            key=b"example",
            # The worker copies this header to the answer.
            headers={"correlation-id": correlation_id},
        )
        producer.flush()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            message = consumer.poll(1)
            headers: dict[str, Any] = dict((message and message.headers()) or ())
            if message is None or headers.get("correlation-id") != correlation_id:
                continue
            if message.topic() == DEAD_LETTERS:
                detail = headers["__connect.errors.exception.message"].decode()
                raise ValueError(f"{headers['qa.reason'].decode()}: {detail}")
            return deserialize(message.value(), SerializationContext(ANSWERS, MessageField.VALUE))
    finally:
        consumer.close()
    raise TimeoutError


def ends(consumer: Consumer) -> list[TopicPartition]:
    """The current end of each partition of both output topics."""
    partitions = [
        TopicPartition(topic, number)
        for topic in (ANSWERS, DEAD_LETTERS)
        for number in consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
    ]
    for partition in partitions:
        _, partition.offset = consumer.get_watermark_offsets(partition, timeout=SECONDS)
    return partitions


if __name__ == "__main__":
    _, question_argument, *context_arguments = sys.argv
    try:
        print(json.dumps(ask(question_argument, *context_arguments), ensure_ascii=False))
    except ValueError as rejected:
        sys.exit(f"rejected: {rejected}")
    except TimeoutError:
        sys.exit(f"no answer within {SECONDS} s: is a worker running?")
