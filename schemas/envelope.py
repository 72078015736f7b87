"""Bytes and headers to an event, and its outcome back to bytes and headers.

Three shapes come in: plain JSON (also Azure ML's `input_data`), CloudEvents 1.0 structured, and
CloudEvents 1.0 binary (the Kafka protocol binding). An outcome leaves in its event's shape.
https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from schemas.event import Event, Outcome
from schemas.rejection import Header, Reason, Rejected

E = TypeVar("E", bound=Event[Any])

TRACE = frozenset({"traceparent", "tracestate"})
"""Headers (lower-cased) of the W3C's trace context."""

PROPAGATED_HEADERS = TRACE | frozenset(
    {
        "baggage",
        "correlation-id",
        "correlation_id",
        "correlationid",
        "x-correlation-id",
        "x-request-id",
        "kafka_correlationid",
    }
)
"""Headers (lower-cased) that an outcome takes over from its event."""

EXTENSIONS = TRACE | {"correlationid"}
"""CloudEvents attributes that an outcome takes over from its event: of the extensions Distributed
Tracing and Correlation."""

_CLOUDEVENTS = "application/cloudevents"
_STRUCTURED = f"{_CLOUDEVENTS}+json"
_JSON = b"application/json"


class ContentMode(Enum):
    """The shape of an event on its topic."""

    PLAIN = "plain"
    STRUCTURED = "structured"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Envelope(Generic[E]):
    """An event with its id settled, the shape in which it came, and what of it was left aside."""

    event: E
    mode: ContentMode
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Those of `EXTENSIONS` that the event has."""
    ignored: Sequence[str] = ()
    """Names of fields that the event's schema does not know."""


def decode_event(
    kind: type[E],
    value: bytes | None,
    headers: Sequence[Header],
    *,
    default_id: str,
    max_bytes: int,
) -> Envelope[E]:
    """The event of this kind in a record. Its id: its own, else the CloudEvents id, else
    `default_id`.

    Raises `Rejected` for whatever is no such event, and nothing else, whatever the bytes.
    """
    if value is None:
        raise Rejected(Reason.NULL_VALUE, "the record has no value")
    if len(value) > max_bytes:
        raise Rejected(
            Reason.RECORD_TOO_LARGE, f"the value has {len(value)} bytes, the limit is {max_bytes}"
        )
    named = {
        name.lower(): text.decode("utf-8", "replace") for name, text in headers if text is not None
    }
    media_type = _media_type(named.get("content-type", ""))
    document = _parse(value)
    mode = _mode(kind, document, media_type, named)
    if mode is ContentMode.PLAIN:
        attributes, data = {}, document
    elif mode is ContentMode.BINARY:
        attributes, data = _header_attributes(named), document
    else:
        attributes, data = _document_attributes(document), _data(document)
    # Azure ML's endpoint of the same model takes the pair one level down.
    if isinstance(data, dict) and isinstance(data.get("input_data"), dict):
        data = data["input_data"]
    try:
        event = kind.model_validate(data)
    except ValidationError as error:
        raise Rejected(Reason.SCHEMA, _first_error(kind, error)) from None
    return Envelope(
        event.named(attributes.get("id") or default_id),
        mode,
        {name: text for name, text in attributes.items() if name in EXTENSIONS},
        tuple(_unknown(kind, data)),
    )


def encode_outcome(
    outcome: Outcome,
    mode: ContentMode,
    headers: Sequence[Header],
    *,
    source: str,
    extensions: Mapping[str, str] | None = None,
) -> tuple[bytes, list[Header]]:
    """The outcome's bytes and headers in `mode`; `headers` are those of the event's record, and
    `extensions` those of its envelope.

    `source` is the CloudEvents source. There is no `time`, so that an event that is read again
    after a crash gives the same bytes again.
    """
    carried = [(name, text) for name, text in headers if name.lower() in PROPAGATED_HEADERS]
    body = outcome.model_dump_json().encode()
    if mode is ContentMode.PLAIN:
        return body, [*carried, ("content-type", _JSON)]
    attributes = {
        "specversion": "1.0",
        "id": outcome.id,
        "source": source,
        "type": outcome.TYPE,
        **(extensions or {}),
    }
    if mode is ContentMode.BINARY:
        event = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
        return body, [*carried, *event, ("content-type", _JSON)]
    head = pydantic_core.to_json({**attributes, "datacontenttype": "application/json"})
    return (
        head[:-1] + b',"data":' + body + b"}",
        [*carried, ("content-type", _STRUCTURED.encode())],
    )


def _parse(value: bytes) -> Any:
    try:
        return pydantic_core.from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise Rejected(Reason.NOT_JSON, str(error)) from None


def _media_type(content_type: str) -> str:
    """Without parameters. Refuses CloudEvents in a format or a number that are not read."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith(_CLOUDEVENTS) and media_type not in (_CLOUDEVENTS, _STRUCTURED):
        raise Rejected(
            Reason.SCHEMA,
            f"content-type: {media_type:.60} is not read; send {_STRUCTURED}, one event a record",
        )
    return media_type


def _mode(
    kind: type[Event[Any]], document: Any, media_type: str, headers: Mapping[str, str]
) -> ContentMode:
    # The Kafka binding: the content type decides, then the attributes in the headers.
    if media_type.startswith(_CLOUDEVENTS):
        return ContentMode.STRUCTURED
    if "ce_specversion" in headers:
        return ContentMode.BINARY
    return ContentMode.STRUCTURED if _looks_structured(kind, document) else ContentMode.PLAIN


def _looks_structured(kind: type[Event[Any]], document: Any) -> bool:
    # Producers that leave the content type out still mean what they send. An event that has all
    # its fields at hand, and by chance a `specversion`, is a plain one.
    needed = (name for name, field in kind.model_fields.items() if field.is_required())
    return (
        isinstance(document, dict)
        and "specversion" in document
        and not all(name in document for name in needed)
    )


def _header_attributes(headers: Mapping[str, str]) -> dict[str, str]:
    _check_version(headers["ce_specversion"])
    return {
        name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")
    }


def _document_attributes(document: Any) -> dict[str, str]:
    if not isinstance(document, dict):
        raise Rejected(Reason.SCHEMA, "a structured CloudEvent is a JSON object")
    _check_version(document.get("specversion"))
    event_id = document.get("id")
    if not isinstance(event_id, str) or not event_id:
        raise Rejected(Reason.SCHEMA, "id: a CloudEvent needs one, a non-empty text")
    return {name: text for name, text in document.items() if isinstance(text, str)}


def _check_version(version: Any) -> None:
    if version != "1.0":
        raise Rejected(Reason.SCHEMA, f"specversion: CloudEvents 1.0 is read, not {version!r:.40}")


def _data(document: dict[str, Any]) -> Any:
    if "data_base64" not in document:
        return document.get("data")
    try:
        return _parse(base64.b64decode(document["data_base64"], validate=True))
    except (TypeError, ValueError, binascii.Error) as error:
        raise Rejected(Reason.SCHEMA, f"data_base64: {error}") from None


def _unknown(model: type[BaseModel], data: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for name, value in data.items():
        known = model.model_fields.get(name)
        if known is None:
            yield where + name
        elif isinstance(known.annotation, type) and issubclass(known.annotation, BaseModel):
            yield from _unknown(known.annotation, value, f"{where}{name}.")


def _first_error(kind: type[Event[Any]], error: ValidationError) -> str:
    """One line for people: where, and what is wrong. The input itself stays out of it."""
    first, *rest = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(str(step) for step in first["loc"]) or "the event"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("model_type", "dict_type"):
        message = "should be a JSON object"
    more = f" (and {len(rest)} more)" if rest else ""
    # A field that is missing may be that of another kind of event, on the wrong topic.
    taken = f"; this worker takes {kind.TAKES}" if first["type"] == "missing" else ""
    return f"{where}: {message}{more}{taken}"
