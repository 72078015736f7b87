"""Headers of records as JSON Schemas of an object: header name to UTF-8 text."""

import ast
import inspect
from typing import Any

from schemas.envelope import EXTENSIONS, PROPAGATED_HEADERS
from schemas.expiry import ATTRIBUTE, HEADER
from schemas.rejection import (
    ATTEMPT,
    HEADERS_OMITTED,
    KEY_OMITTED,
    LAST_OFFSET,
    MESSAGE_LIMIT,
    PREFIX,
    REASON,
    REPLAY_OF,
    VALUE_OMITTED,
)
from schemas.rejection import Reason as Why
from schemas.reply import PARTITION_HEADER, TOPIC_HEADERS
from schemas.unsure import ANSWER, ANSWER_LIMIT, MODEL, OFFSET, ORIGIN, PARTITION, SCORE, TOPIC

Schema = dict[str, Any]

_DIGITS = "^[0-9]+$"

_CARRIED_MEANINGS = {
    "traceparent": "W3C Trace Context",
    "tracestate": "W3C Trace Context",
    "baggage": "W3C Baggage",
    "correlation-id": "ties an outcome to its event",
    **dict.fromkeys(ORIGIN, "place of a question that another worker sent on as unsure"),
}

_REPLAYED: dict[str, Schema] = {
    ATTEMPT: {
        "type": "string",
        "pattern": _DIGITS,
        "description": "number of times that the event was replayed from the dead letters",
    },
    REPLAY_OF: {
        "type": "string",
        "pattern": "^.+-[0-9]+-[0-9]+$",
        "description": "the dead letter that the event was replayed from: topic-partition-offset",
    },
}


def carried() -> Schema:
    """The headers that an outcome takes over from its event."""
    return {
        "type": "object",
        "properties": {
            name: {
                "type": "string",
                "description": f"{_CARRIED_MEANINGS.get(name, 'correlation id')}; copied to the "
                "outcome",
            }
            for name in [*_CARRIED_MEANINGS, *sorted(PROPAGATED_HEADERS - set(_CARRIED_MEANINGS))]
        },
    }


_EXPIRY: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "the outcome is not needed after this time (RFC 3339, with a zone)",
}


def expiring() -> Schema:
    """The headers that events alone have."""
    return {"type": "object", "properties": {HEADER: _EXPIRY}}


def expirytime(prefix: str = "") -> dict[str, Schema]:
    """The attribute of a CloudEvent that says when it expires."""
    return {f"{prefix}{ATTRIBUTE}": _EXPIRY}


def content_type(value: str) -> Schema:
    """Headers with a `content-type` of this value."""
    return _object({"content-type": {"type": "string", "const": value}}, ["content-type"])


def binary(kind: str | None, *, source: Schema) -> Schema:
    """The headers of a CloudEvent in binary mode; `kind` is its type; None: any type."""
    texts = {"type": "string", "minLength": 1}
    attributes: dict[str, Schema] = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": texts,
        "ce_source": source,
        "ce_type": {"type": "string", "const": kind} if kind else texts,
        **{f"ce_{name}": {"type": "string"} for name in sorted(EXTENSIONS)},
        **({} if kind else expirytime("ce_")),
        "content-type": {"type": "string", "const": "application/json"},
    }
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type"]
    return _object(attributes, required)


def reply_request() -> Schema:
    """The headers with which an event asks for a reply."""
    names = " or ".join(TOPIC_HEADERS)
    return {
        "type": "object",
        "properties": {
            **{
                name: {
                    "type": "string",
                    "pattern": "^[a-zA-Z0-9._-]{1,249}$",
                    "description": "the topic for the reply; QA_REPLY_TOPICS has to allow it",
                }
                for name in TOPIC_HEADERS
            },
            PARTITION_HEADER: {
                "type": "string",
                "description": "the partition for the reply: a number of four bytes, big-endian; "
                f"by default the event's key decides. Of effect beside {names}",
            },
        },
    }


def error_reply() -> Schema:
    """The headers of an error reply, beside those that it takes over from its event."""
    properties = {
        REASON: _reason(),
        "content-type": {"type": "string", "const": "application/json"},
    }
    return _object(properties, list(properties))


def dead_letter() -> Schema:
    """The headers that the worker appends to a record that it rejects."""
    added: dict[str, Schema] = {
        f"{PREFIX}topic": {"type": "string", "description": "the topic of the rejected record"},
        f"{PREFIX}partition": {"type": "string", "pattern": _DIGITS},
        f"{PREFIX}offset": {"type": "string", "pattern": _DIGITS},
        f"{PREFIX}exception.class.name": {"type": "string"},
        f"{PREFIX}exception.message": {
            "type": "string",
            "maxLength": MESSAGE_LIMIT,
            "description": "what was wrong, for a person",
        },
        REASON: _reason(),
    }
    because = "was left out because the topic does not take the whole record."
    omitted: dict[str, Schema] = {
        VALUE_OMITTED: {
            "type": "string",
            "pattern": _DIGITS,
            "description": f"Size in bytes of the record's value, which {because}",
        },
        HEADERS_OMITTED: {
            "type": "string",
            "pattern": _DIGITS,
            "description": f"Number of the record's headers, each of which {because}",
        },
        KEY_OMITTED: {
            "type": "string",
            "pattern": "^([0-9]+|null)$",
            "description": "Size in bytes of the record's key, or null: the dead letter's key is "
            "the record's topic-partition-offset instead, because the topic does not take the "
            "record's key, or none.",
        },
    }
    last: Schema = {
        "type": "string",
        "pattern": _DIGITS,
        "description": "Of a dead letter that stands for a batch that cannot be read: the last of "
        "its offsets.",
    }
    return {
        **_object({**added, **omitted, LAST_OFFSET: last, **_REPLAYED}, list(added)),
        "description": "Headers, in the style of Kafka Connect, that the worker appends to those "
        "of a record that it rejects; the record's own headers come first, unchanged. Kafka allows "
        "repeated headers: of two with one name the last counts.",
    }


def unsure() -> Schema:
    """The headers that the worker appends to a question of whose answer it is unsure."""
    added: dict[str, Schema] = {
        TOPIC: {"type": "string", "description": "the topic of the question"},
        PARTITION: {"type": "string", "pattern": _DIGITS},
        OFFSET: {"type": "string", "pattern": _DIGITS},
        ANSWER: {
            "type": "string",
            "maxLength": ANSWER_LIMIT,
            "description": "the best span; empty if the model prefers no answer",
        },
        SCORE: {"type": "string", "description": "its score, which is below min_score"},
        MODEL: {"type": "string", "description": "the name of the model"},
    }
    return {
        **_object(added, list(added)),
        "description": "Headers that the worker appends to those of a question whose answer has a "
        "score below min_score; key, value and the question's own headers are unchanged. If the "
        "question was sent on before, the place is that where it was asked first, and of two "
        "headers with one name the last counts.",
    }


def meanings() -> dict[str, str]:
    """Reason to its meaning: the docstring under it in the enum."""
    (body,) = ast.parse(inspect.getsource(Why)).body
    assert isinstance(body, ast.ClassDef)
    texts = [
        inspect.cleandoc(node.value.value)
        for node in body.body[1:]
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return dict(zip((str(reason) for reason in Why), texts, strict=True))


def _reason() -> Schema:
    return {
        "type": "string",
        "enum": [str(reason) for reason in Why],
        "description": "What was wrong, for a program. Later versions may add reasons.\n\n"
        + "\n".join(f"- `{reason}`: {meaning}" for reason, meaning in meanings().items()),
    }


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}
