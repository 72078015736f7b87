"""The AsyncAPI document of the topics, from the worker's side: it receives questions and sends
answers. Names, sizes and numbers are the defaults of the settings and of `topics create`.
"""

import inspect
from typing import Any

from schemas import VERSION
from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.envelope import EXTENSIONS
from tests.schemas import header_schemas, samples
from tests.schemas.json_schemas import components, dead_letter_example
from worker.cli.topics import create
from worker.environment import load
from worker.streaming.topics import LIMIT, sizes

Schema = dict[str, Any]

BINDING = "0.5.0"
"""The version of AsyncAPI's Kafka binding."""

_SETTINGS = load({"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"})
_TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "correlation-id": "8d5f0f0e",
}
_KINDS = {
    "question": ("A question to answer", "Question", "qa.question", samples.QUESTIONS[1]),
    "text": ("A text to embed", "Text", "qa.text", samples.TEXTS[1]),
    "answer": (
        "The answer to a question",
        "Answer",
        Answer.TYPE,
        samples.ANSWER.model_dump(mode="json"),
    ),
    "embedding": (
        "The embedding of a text",
        "Embedding",
        Embedding.TYPE,
        samples.EMBEDDING.model_dump(mode="json"),
    ),
}
_SOURCE = f"/qa-worker/{_SETTINGS.qa.questions_topic}"


def asyncapi() -> Schema:
    """The document."""
    events = [name for name in _messages() if name.startswith(("question", "text"))]
    outcomes = [name for name in _messages() if name.startswith(("answer", "embedding"))]
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
                "in transactions by default: read them with isolation.level=read_committed.",
                outcomes,
            ),
            "deadLetters": _channel(
                _SETTINGS.qa.dead_letters_topic,
                "Records that cannot be answered, unchanged, with the reason in their headers.",
                ["deadLetter"],
            ),
        },
        "operations": {
            "receiveEvent": {
                **_operation("receive", "questions", "Read an event.", events),
                "reply": {
                    "channel": {"$ref": "#/channels/answers"},
                    "messages": _of_channel("answers", outcomes),
                },
            },
            "sendOutcome": _operation("send", "answers", "Publish what became of it.", outcomes),
            "sendDeadLetter": _operation(
                "send", "deadLetters", "Or say why nothing did.", ["deadLetter"]
            ),
        },
        "components": {
            "messages": _messages(),
            "messageTraits": {"carried": _carried()},
            "schemas": components(),
            "securitySchemes": {
                "plain": {"type": "plain"},
                "scramSha256": {"type": "scramSha256"},
                "scramSha512": {"type": "scramSha512"},
            },
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
    logins = ("plain", "scramSha256", "scramSha512")
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
            "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in logins],
        },
    }


def _channel(topic: str, description: str, messages: list[str]) -> Schema:
    defaults = inspect.signature(create).parameters
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": defaults["partitions"].default,
                "replicas": defaults["replication_factor"].default,
                "topicConfiguration": {LIMIT: sizes(_SETTINGS)[topic]},
                "bindingVersion": BINDING,
            }
        },
    }


def _operation(action: str, channel: str, summary: str, messages: list[str]) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": _of_channel(channel, messages),
    }


def _of_channel(channel: str, messages: list[str]) -> list[Schema]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]


def _messages() -> dict[str, Schema]:
    messages: dict[str, Schema] = {}
    for name in _KINDS:
        messages |= _in_each_shape(name)
    messages["questionAzureMl"] = _azure_ml()
    messages["deadLetter"] = _dead_letter()
    return messages


def _in_each_shape(name: str) -> dict[str, Schema]:
    title, model, kind, payload = _KINDS[name]
    incoming = name in ("question", "text")
    schema = {"$ref": f"#/components/schemas/{model}"}
    attributes = {
        "specversion": "1.0",
        "id": payload["id"],
        "source": "/wiki" if incoming else _SOURCE,
        "type": kind,
    }
    binary = {f"ce_{attribute}": text for attribute, text in attributes.items()}
    source = (
        {"type": "string", "minLength": 1} if incoming else {"type": "string", "const": _SOURCE}
    )
    return {
        name: _message(
            f"{title}: plain JSON",
            None if incoming else header_schemas.content_type("application/json"),
            schema,
            {**_TRACE, "content-type": "application/json"},
            payload,
        ),
        f"{name}Structured": _message(
            f"{title}: CloudEvents 1.0, structured",
            header_schemas.content_type("application/cloudevents+json"),
            _structured(None if incoming else kind, source, schema),
            {**_TRACE, "content-type": "application/cloudevents+json"},
            {**attributes, "datacontenttype": "application/json", "data": payload},
            content_type="application/cloudevents+json",
        ),
        f"{name}Binary": _message(
            f"{title}: CloudEvents 1.0, binary",
            header_schemas.binary(None if incoming else kind, source=source),
            schema,
            {**_TRACE, **binary, "content-type": "application/json"},
            payload,
        ),
    }


def _structured(kind: str | None, source: Schema, data: Schema) -> Schema:
    texts = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": texts,
            "source": source,
            "type": {"type": "string", "const": kind} if kind else texts,
            "datacontenttype": {"type": "string", "const": "application/json"},
            **{name: {"type": "string"} for name in sorted(EXTENSIONS)},
            "data": data,
        },
        "required": ["specversion", "id", "source", "type", "data"],
    }


def _azure_ml() -> Schema:
    payload = samples.QUESTIONS[0]
    return _message(
        "A question to answer: as Azure ML's endpoints take it",
        None,
        {
            "type": "object",
            "properties": {"input_data": {"$ref": "#/components/schemas/Question"}},
            "required": ["input_data"],
        },
        _TRACE,
        {"input_data": payload},
    )


def _dead_letter() -> Schema:
    return _message(
        "A record that cannot be answered",
        header_schemas.dead_letter(),
        {"description": "The record's own value, whatever its bytes are."},
        {**_TRACE, **dead_letter_example()},
        '{"question": " ", "context": "…"}',
        content_type="application/octet-stream",
    )


def _message(
    title: str,
    headers: Schema | None,
    payload: Schema,
    sent_headers: Schema,
    sent: Any,
    *,
    content_type: str = "application/json",
) -> Schema:
    return {
        "title": title,
        "contentType": content_type,
        "traits": [{"$ref": "#/components/messageTraits/carried"}],
        **({"headers": headers} if headers else {}),
        "payload": payload,
        "examples": [{"headers": sent_headers, "payload": sent}],
    }


def _carried() -> Schema:
    return {
        "headers": header_schemas.carried(),
        "correlationId": {
            "description": "any of the headers that come back will do, and the id as well",
            "location": "$message.header#/correlation-id",
        },
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "description": "Any bytes, or none; an outcome and a dead letter have those of "
                    "their event.",
                },
                "bindingVersion": BINDING,
            }
        },
    }
