"""The messages of the AsyncAPI document: each kind of event in each shape, with an example."""

from typing import Any

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.envelope import EXTENSIONS
from schemas.generate import header_schemas, samples
from schemas.generate.json_schemas import dead_letter_example, unsure_example
from schemas.rejection import REASON

Schema = dict[str, Any]

BINDING = "0.5.0"
"""The version of AsyncAPI's Kafka binding."""

_SOURCE = "/qa-worker/qa.questions"
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


def messages() -> dict[str, Schema]:
    """Name to message."""
    every: dict[str, Schema] = {}
    for name in _KINDS:
        every |= _in_each_shape(name)
    every["questionAzureMl"] = _azure_ml()
    every["deadLetter"] = _dead_letter()
    every["unsureQuestion"] = _unsure()
    every["errorReply"] = _error_reply()
    return every


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
            incoming=incoming,
        ),
        f"{name}Structured": _message(
            f"{title}: CloudEvents 1.0, structured",
            header_schemas.content_type("application/cloudevents+json"),
            _structured(None if incoming else kind, source, schema),
            {**_TRACE, "content-type": "application/cloudevents+json"},
            {**attributes, "datacontenttype": "application/json", "data": payload},
            content_type="application/cloudevents+json",
            incoming=incoming,
        ),
        f"{name}Binary": _message(
            f"{title}: CloudEvents 1.0, binary",
            header_schemas.binary(None if incoming else kind, source=source),
            schema,
            {**_TRACE, **binary, "content-type": "application/json"},
            payload,
            incoming=incoming,
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
            **({} if kind else header_schemas.expirytime()),
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
        incoming=True,
    )


def _error_reply() -> Schema:
    added = {REASON: samples.ERROR_REPLY.error.reason, "content-type": "application/json"}
    return _message(
        "The reply to an event that was rejected",
        header_schemas.error_reply(),
        {"$ref": "#/components/schemas/ErrorReply"},
        {**_TRACE, **added},
        samples.ERROR_REPLY.model_dump(mode="json"),
    )


def _dead_letter() -> Schema:
    return _message(
        "A record that cannot be answered",
        header_schemas.dead_letter(),
        {"description": "The unchanged value of the record: any bytes."},
        {**_TRACE, **dead_letter_example()},
        '{"question": " ", "context": "…"}',
        content_type="application/octet-stream",
    )


def _unsure() -> Schema:
    return _message(
        "A question of whose answer the worker is unsure",
        header_schemas.unsure(),
        {"description": "The unchanged value of the question's record."},
        {**_TRACE, **unsure_example()},
        samples.QUESTIONS[1],
    )


def _message(
    title: str,
    headers: Schema | None,
    payload: Schema,
    sent_headers: Schema,
    sent: Any,
    *,
    content_type: str = "application/json",
    incoming: bool = False,
) -> Schema:
    traits = ("carried", "request", "expiring") if incoming else ("carried",)
    return {
        "title": title,
        "contentType": content_type,
        "traits": [{"$ref": f"#/components/messageTraits/{name}"} for name in traits],
        **({"headers": headers} if headers else {}),
        "payload": payload,
        "examples": [{"headers": sent_headers, "payload": sent}],
    }


def traits() -> dict[str, Schema]:
    """Name to trait."""
    return {
        "carried": carried(),
        "request": request(),
        "expiring": {"headers": header_schemas.expiring()},
    }


def carried() -> Schema:
    """The trait of all messages: key and headers that an outcome takes over from its event."""
    return {
        "headers": header_schemas.carried(),
        "correlationId": {
            "description": "ties an outcome to its event, as other carried headers and the id do",
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


def request() -> Schema:
    """The trait of events: headers that ask for a reply."""
    return {"headers": header_schemas.reply_request()}
