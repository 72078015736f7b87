"""Decodes events from, and encodes outcomes to, the value and the headers of a record.

Events are plain JSON (also Azure ML's `input_data`) or CloudEvents 1.0 in structured or binary
content mode. An outcome has the content mode of its event.
https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Generic, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from schemas.event import Event, Outcome
from schemas.expiry import ATTRIBUTE, HEADER, earliest_time
from schemas.question import NO_CONTEXT, TWO_FORMS, Passage
from schemas.rejection import Header, Reason, Rejected
from schemas.unsure import ORIGIN
from schemas.value_format import JSON, ValueFormat

E = TypeVar("E", bound=Event[Any])

TRACE = frozenset({"traceparent", "tracestate"})
"""Headers of W3C Trace Context, in lower case."""

CORRELATION = frozenset(
    {
        "correlation-id",
        "correlation_id",
        "correlationid",
        "x-correlation-id",
        "x-request-id",
        "kafka_correlationid",
    }
)
"""Headers that identify a question to its client, in lower case."""

PROPAGATED_HEADERS = TRACE | CORRELATION | {"baggage", *ORIGIN}
"""Headers that are copied from the event to its outcome, in lower case."""

EXTENSIONS = TRACE | {"correlationid"}
"""CloudEvents attributes that are copied from the event to its outcome: those of the extensions
Distributed Tracing and Correlation."""

_CLOUDEVENTS = "application/cloudevents"
_STRUCTURED = f"{_CLOUDEVENTS}+json"


class ContentMode(Enum):
    """How a record contains an event: plain JSON, or a CloudEvent in one of two modes."""

    PLAIN = "plain"
    STRUCTURED = "structured"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Envelope(Generic[E]):
    """A decoded event, which has an id, with what the schema of the event does not hold."""

    event: E
    mode: ContentMode
    extensions: Mapping[str, str] = field(default_factory=dict)
    """The event's attributes that are in `EXTENSIONS`."""
    ignored: Sequence[str] = ()
    """Names of the fields that the event's schema does not have."""
    packed_metadata: bytes | None = None
    """The event's metadata as JSON, if the event itself does not hold them: see `packed`."""

    def packed(self) -> "Envelope[E]":
        """This envelope with the event's metadata as JSON, and without that of its passages, which
        is not copied to the outcome.

        Lists and dicts take up to 30 times the memory of their JSON, and an event may wait long for
        its outcome.
        """
        packed = replace(self, event=self.event.without_metadata())
        if self.event.metadata:
            packed = replace(packed, packed_metadata=pydantic_core.to_json(self.event.metadata))
        return packed

    def with_metadata(self, outcome: Outcome) -> Outcome:
        """The outcome with the metadata that `packed` took out of the event."""
        if self.packed_metadata is None:
            return outcome
        metadata = pydantic_core.from_json(self.packed_metadata)
        return outcome.model_copy(update={"metadata": metadata})


def decode_event(
    event_type: type[E],
    value: bytes | None,
    headers: Sequence[Header],
    *,
    default_id: str,
    max_bytes: int,
) -> Envelope[E]:
    """The event in a record. Its id is the one in the data, otherwise the CloudEvents id, otherwise
    `default_id`. Its `expires_at` is the earliest time that the data, the CloudEvents attribute and
    the header state. `max_bytes` is the limit of the value.

    Raises `Rejected`, and nothing else, for every value that is not an event of `event_type`.
    """
    if value is None:
        raise Rejected(Reason.NULL_VALUE, "the record has no value")
    if len(value) > max_bytes:
        raise Rejected(
            Reason.RECORD_TOO_LARGE, f"the value has {len(value)} bytes, the limit is {max_bytes}"
        )
    text_headers = {
        name.lower(): text.decode("utf-8", "replace") for name, text in headers if text is not None
    }
    media_type = _media_type(text_headers.get("content-type", ""))
    document = _parse(value)
    mode = _content_mode(event_type, document, media_type, text_headers)
    if mode is ContentMode.PLAIN:
        attributes, data = {}, document
    elif mode is ContentMode.BINARY:
        attributes, data = _header_attributes(text_headers), document
    else:
        attributes, data = _document_attributes(document), _data(document)
    # Azure ML's question-answering endpoints take the question inside `input_data`.
    if isinstance(data, dict) and isinstance(data.get("input_data"), dict):
        data = data["input_data"]
    try:
        event = event_type.model_validate(data)
    except ValidationError as error:
        raise _rejected(event_type, error) from None
    # Not from `attributes`, which hold texts alone: a number is an error.
    attribute = (document if mode is ContentMode.STRUCTURED else attributes).get(ATTRIBUTE)
    stated = (ATTRIBUTE, attribute), (HEADER, text_headers.get(HEADER))
    expires_at = earliest_time(event.expires_at, stated)
    if expires_at != event.expires_at:
        event = event.model_copy(update={"expires_at": expires_at})
    return Envelope(
        event.with_default_id(attributes.get("id") or default_id),
        mode,
        {name: text for name, text in attributes.items() if name in EXTENSIONS},
        tuple(_unknown_fields(event_type, data)),
    )


def encode_outcome(
    outcome: Outcome,
    mode: ContentMode,
    headers: Sequence[Header],
    *,
    source: str,
    extensions: Mapping[str, str] | None = None,
    value_format: ValueFormat = JSON,
) -> tuple[bytes, list[Header]]:
    """Value and headers of the outcome's record. `mode`, `headers` and `extensions` are those of
    the event; `source` is the CloudEvents source.

    A CloudEvent gets no `time`, so that an event that is processed again gives the same bytes. The
    structured mode holds JSON alone: in another format its events get outcomes in binary mode.
    """
    propagated = [(name, text) for name, text in headers if name.lower() in PROPAGATED_HEADERS]
    body = value_format.encode(outcome)
    stated = value_format.content_type
    content_type = [] if stated is None else [("content-type", stated)]
    if mode is ContentMode.PLAIN:
        return body, [*propagated, *content_type]
    attributes = {
        "specversion": "1.0",
        "id": outcome.id,
        "source": source,
        "type": outcome.TYPE,
        **(extensions or {}),
    }
    if mode is ContentMode.BINARY or value_format is not JSON:
        event = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
        return body, [*propagated, *event, *content_type]
    head = pydantic_core.to_json({**attributes, "datacontenttype": "application/json"})
    return (
        head[:-1] + b',"data":' + body + b"}",
        [*propagated, ("content-type", _STRUCTURED.encode())],
    )


def _parse(value: bytes) -> Any:
    try:
        return pydantic_core.from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise Rejected(Reason.NOT_JSON, str(error)) from None


def _media_type(content_type: str) -> str:
    """The content type without parameters. Raises `Rejected` for batches of CloudEvents and for
    CloudEvents in a format other than JSON.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith(_CLOUDEVENTS) and media_type not in (_CLOUDEVENTS, _STRUCTURED):
        raise Rejected(
            Reason.SCHEMA,
            f"content-type: {media_type:.60} is not supported; send {_STRUCTURED}, one event in "
            "each record",
        )
    return media_type


def _content_mode(
    event_type: type[Event[Any]], document: Any, media_type: str, headers: Mapping[str, str]
) -> ContentMode:
    # As the Kafka binding says: first the content type, then the attributes in the headers.
    if media_type.startswith(_CLOUDEVENTS):
        return ContentMode.STRUCTURED
    if "ce_specversion" in headers:
        return ContentMode.BINARY
    return ContentMode.STRUCTURED if _looks_structured(event_type, document) else ContentMode.PLAIN


def _looks_structured(event_type: type[Event[Any]], document: Any) -> bool:
    # Some producers omit the content type. A document with all required fields of the event is
    # plain JSON, even if it has a field `specversion`.
    return (
        isinstance(document, dict) and "specversion" in document and not event_type.fits(document)
    )


def _header_attributes(headers: Mapping[str, str]) -> dict[str, str]:
    _check_version(headers["ce_specversion"])
    return {
        name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")
    }


def _document_attributes(document: Any) -> dict[str, str]:
    if not isinstance(document, dict):
        raise Rejected(Reason.SCHEMA, "a structured CloudEvent must be a JSON object")
    _check_version(document.get("specversion"))
    event_id = document.get("id")
    if not isinstance(event_id, str) or not event_id:
        raise Rejected(Reason.SCHEMA, "id: a CloudEvent needs a non-empty string")
    return {name: text for name, text in document.items() if isinstance(text, str)}


def _check_version(version: Any) -> None:
    if version != "1.0":
        raise Rejected(
            Reason.SCHEMA, f"specversion: {version!r:.40} is not supported; send CloudEvents 1.0"
        )


def _data(document: dict[str, Any]) -> Any:
    if "data_base64" not in document:
        return document.get("data")
    try:
        return _parse(base64.b64decode(document["data_base64"], validate=True))
    except (TypeError, ValueError, binascii.Error) as error:
        raise Rejected(Reason.SCHEMA, f"data_base64: {error}") from None


def _unknown_fields(
    model: type[BaseModel], data: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for name, value in data.items():
        known = model.model_fields.get(name)
        if known is None:
            yield prefix + name
        elif isinstance(known.annotation, type) and issubclass(known.annotation, BaseModel):
            yield from _unknown_fields(known.annotation, value, f"{prefix}{name}.")
        elif name == "contexts" and isinstance(value, list):
            # One name for all passages: there may be many, with the same fields.
            fields = {key: item for passage in value for key, item in passage.items()}
            yield from _unknown_fields(Passage, fields, f"{prefix}contexts[].")


def _rejected(event_type: type[Event[Any]], error: ValidationError) -> Rejected:
    """One line with the first field that is wrong and the problem, without the input."""
    first, *rest = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(str(step) for step in first["loc"]) or "the event"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("model_type", "dict_type"):
        message = "should be a JSON object"
    if first["type"] in (NO_CONTEXT, TWO_FORMS):
        where, _, message = message.partition(": ")
    more = f" (and {len(rest)} more)" if rest else ""
    # A missing field may mean that the event is of another type, sent to the wrong topic.
    hint = (
        f"; this worker accepts {event_type.ACCEPTS}"
        if first["type"] in ("missing", NO_CONTEXT)
        else ""
    )
    too_many = first["type"] == "too_long" and first["loc"] == ("contexts",)
    reason = Reason.CONTEXT_TOO_LONG if too_many else Reason.SCHEMA
    return Rejected(reason, f"{where}: {message}{more}{hint}")
