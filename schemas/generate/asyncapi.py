"""The AsyncAPI document of the topics, in which the worker is the application: it receives events
and sends outcomes. Names, sizes and numbers are the defaults of the settings and of
`topics create`.
"""

import inspect
from typing import Any, get_args

from schemas import VERSION
from schemas.generate.asyncapi_messages import BINDING, messages, traits
from schemas.generate.json_schemas import components
from schemas.reply import TOPIC_HEADERS
from worker.cli.topics import create
from worker.kafka.topics import MAX_MESSAGE_BYTES, new_topic_limits
from worker.settings import KafkaSettings
from worker.settings.environment import load

Schema = dict[str, Any]

_UNSURE_TOPIC = "qa.unsure"
"""The setting has no default. This name is that of the guide."""

_SETTINGS = load({"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "QA_UNSURE_TOPIC": _UNSURE_TOPIC})


def asyncapi() -> Schema:
    """The document."""
    events = [name for name in messages() if name.startswith(("question", "text"))]
    outcomes = [name for name in messages() if name.startswith(("answer", "embedding"))]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:qa-worker",
        "info": {
            "title": "qa-worker",
            "version": VERSION,
            "description": "Answers questions, or embeds texts, that flow through Kafka. A worker "
            "reads one kind of event, by its model. An outcome leaves in its event's shape: plain "
            "JSON, CloudEvents structured, or CloudEvents binary. Fields that are not described "
            "are ignored in events, and may be added to outcomes.",
            "license": {"name": "MIT"},
            "tags": [{"name": "question answering"}, {"name": "embeddings"}],
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {
            "questions": _channel(
                _SETTINGS.qa.questions_topic,
                "Events to read: questions, or texts where the model makes embeddings.",
                events,
            ),
            "answers": _channel(
                _SETTINGS.qa.answers_topic,
                "Outcomes, under the key of their event and in the order of its partition. Written "
                "in transactions by default: read them with isolation.level=read_committed. With "
                "QA_ANSWER_FORMAT=avro, json_schema or protobuf their values have the wire format "
                "of Confluent's serializers, by the files .avsc, .registry.json and .proto beside "
                "this document, and no content type.",
                outcomes,
            ),
            "deadLetters": _channel(
                _SETTINGS.qa.dead_letters_topic,
                "Records that cannot be answered, unchanged, with the reason in their headers.",
                ["deadLetter"],
            ),
            "unsureQuestions": _channel(
                _UNSURE_TOPIC,
                "Only with QA_UNSURE_TOPIC: questions whose answers have a score below min_score, "
                "unchanged, in place of these answers; for people, or for a worker with a larger "
                "model that reads them as its questions.",
                ["unsureQuestion"],
            ),
            "replies": {
                "address": None,
                "description": "A topic that an event names for its reply, if QA_REPLY_TOPICS "
                "allows it: its outcome, instead of (QA_REPLY_ALSO: beside) the answers topic, or "
                "an error reply beside the dead letter. In the transaction of the other outcomes; "
                "the worker creates no topic.",
                "messages": _references([*outcomes, "errorReply"]),
            },
        },
        "operations": {
            "receiveEvent": {
                **_operation("receive", "questions", "Read an event.", events),
                "reply": {
                    "channel": {"$ref": "#/channels/answers"},
                    "messages": _of_channel("answers", outcomes),
                },
            },
            "receiveRequest": {
                **_operation(
                    "receive", "questions", "Read an event that asks for a reply.", events
                ),
                "reply": {
                    "address": {
                        "location": f"$message.header#/{TOPIC_HEADERS[0]}",
                        "description": f"or the header {TOPIC_HEADERS[1]}",
                    },
                    "channel": {"$ref": "#/channels/replies"},
                    "messages": _of_channel("replies", [*outcomes, "errorReply"]),
                },
            },
            "sendOutcome": _operation(
                "send", "answers", "Publish the outcome of an event.", outcomes
            ),
            "sendDeadLetter": _operation(
                "send", "deadLetters", "Publish a record that was rejected.", ["deadLetter"]
            ),
            "sendUnsureQuestion": _operation(
                "send", "unsureQuestions", "Send a question on.", ["unsureQuestion"]
            ),
        },
        "components": {
            "messages": messages(),
            "messageTraits": traits(),
            "schemas": components(),
            "securitySchemes": _logins(),
        },
    }


def _servers() -> Schema:
    bootstrap = {
        "host": "{bootstrapServer}",
        "variables": {
            "bootstrapServer": {
                "default": "localhost:9092",
                "description": "host:port, one of those in KAFKA_BOOTSTRAP_SERVERS",
            }
        },
    }
    return {
        "plaintext": {
            **bootstrap,
            "protocol": "kafka",
            "description": "KAFKA_SECURITY_PROTOCOL=PLAINTEXT or SASL_PLAINTEXT",
        },
        "tls": {
            **bootstrap,
            "protocol": "kafka-secure",
            "description": "KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL",
            "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _logins()],
        },
    }


def _logins() -> Schema:
    """A security scheme for each SASL mechanism that the settings accept, under its name there."""
    types: dict[str, Schema] = {
        "PLAIN": {"type": "plain"},
        "SCRAM-SHA-256": {"type": "scramSha256"},
        "SCRAM-SHA-512": {"type": "scramSha512"},
        "OAUTHBEARER": {"type": "http", "scheme": "bearer"},
        "AWS_MSK_IAM": {
            "type": "http",
            "scheme": "bearer",
            "description": "OAUTHBEARER with a token that the client signs by its AWS login",
        },
    }
    mechanisms = get_args(KafkaSettings.model_fields["sasl_mechanism"].annotation)
    return {name: types[name] for name in mechanisms}


def _channel(topic: str, description: str, messages: list[str]) -> Schema:
    defaults = inspect.signature(create).parameters
    return {
        "address": topic,
        "description": description,
        "messages": _references(messages),
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": defaults["partitions"].default,
                "replicas": defaults["replication_factor"].default,
                "topicConfiguration": {MAX_MESSAGE_BYTES: new_topic_limits(_SETTINGS)[topic]},
                "bindingVersion": BINDING,
            }
        },
    }


def _references(messages: list[str]) -> Schema:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _operation(action: str, channel: str, summary: str, messages: list[str]) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": _of_channel(channel, messages),
    }


def _of_channel(channel: str, messages: list[str]) -> list[Schema]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]
