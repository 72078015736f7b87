"""Send records of a schema of one's own as questions: `python send_tickets.py QUESTION TEXT`.

The worker finds the fields of a question in them by
QA_FIELDS=id=number,question=customer.asks,context=body,metadata=labels; it needs no other change.
Needs `pip install 'confluent-kafka[avro,schemaregistry]'`.
Environment variables: KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, QA_QUESTIONS_TOPIC.
"""

import json
import os
import sys
from datetime import UTC, datetime

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
QUESTIONS = os.environ.get("QA_QUESTIONS_TOPIC", "qa.questions")
REGISTRY = SchemaRegistryClient(
    {"url": os.environ.get("SCHEMA_REGISTRY_URL", "http://localhost:8081")}
)

TICKET = {
    "type": "record",
    "name": "Ticket",
    "namespace": "com.example.support",
    "fields": [
        {"name": "number", "type": "string"},
        {
            "name": "customer",
            "type": {
                "type": "record",
                "name": "Customer",
                "fields": [{"name": "asks", "type": "string"}],
            },
        },
        {"name": "body", "type": "string"},
        {"name": "labels", "type": {"type": "map", "values": "string"}},
        {"name": "opened", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


def send(number: str, asks: str, body: str) -> None:
    """Publish a ticket."""
    ticket = {
        "number": number,
        "customer": {"asks": asks},
        "body": body,
        "labels": {"team": "billing"},
        "opened": datetime.now(UTC),
    }
    serialize = AvroSerializer(REGISTRY, json.dumps(TICKET))
    producer = Producer({"bootstrap.servers": SERVERS, "enable.idempotence": True})
    value = serialize(ticket, SerializationContext(QUESTIONS, MessageField.VALUE))
    producer.produce(QUESTIONS, value, key=number.encode())
    producer.flush()


if __name__ == "__main__":
    _, asks_argument, body_argument = sys.argv
    send("T-1", asks_argument, body_argument)
