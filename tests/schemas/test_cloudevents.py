"""CloudEvents 1.0 in structured and binary content mode."""

import base64
import json
from typing import Any

import pytest

from schemas.envelope import ContentMode
from schemas.rejection import Header, Reason
from tests.schemas.conftest import event, opened, verdict

STRUCTURED: list[Header] = [("content-type", b"application/cloudevents+json")]
BINARY: list[Header] = [("ce_specversion", b"1.0"), ("ce_id", b"e-1"), ("ce_type", b"qa.question")]


def structured(**changes: Any) -> dict[str, Any]:
    attributes = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/s",
        "type": "qa.question",
        "data": event(id=...),
        **changes,
    }
    return {name: value for name, value in attributes.items() if value is not ...}


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=UTF-8",
        b"Application/CloudEvents+JSON",
    ],
)
def test_content_type_selects_structured_mode(content_type: bytes) -> None:
    envelope = opened(structured(), [("Content-Type", content_type)])
    assert envelope.mode is ContentMode.STRUCTURED
    assert envelope.event.question == "Who wrote it?"


def test_content_type_precedes_binary_headers() -> None:
    headers = [
        ("content-type", b"application/cloudevents+json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-2"),
    ]
    assert opened(structured(), headers).mode is ContentMode.STRUCTURED


def test_structured_mode_is_detected_without_content_type() -> None:
    assert opened(structured()).mode is ContentMode.STRUCTURED


def test_plain_question_may_have_a_specversion_field() -> None:
    assert opened(event(specversion="7")).mode is ContentMode.PLAIN


def test_cloudevents_id_is_the_default_id() -> None:
    assert opened(structured()).event.id == "e-1"
    assert opened(event(id=...), BINARY).event.id == "e-1"


def test_id_in_the_data_precedes_the_cloudevents_id() -> None:
    assert opened(structured(data=event())).event.id == "q-1"
    assert opened(event(), BINARY).event.id == "q-1"


def test_data_base64_is_decoded() -> None:
    data = base64.b64encode(json.dumps(event()).encode()).decode()
    assert opened(structured(data=..., data_base64=data)).event.id == "q-1"


def test_data_may_have_azure_ml_input_data() -> None:
    data = {"input_data": event()}
    assert opened(structured(data=data)).event.id == "q-1"
    assert opened(data, BINARY).event.id == "q-1"


@pytest.mark.parametrize("data", ["not base64!", "e!30=", "YQ", "é", 5, None, ["YQ=="]])
def test_invalid_base64_is_rejected(data: Any) -> None:
    rejected = verdict(structured(data=..., data_base64=data))
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith("data_base64: ")


def test_base64_without_json_is_not_json() -> None:
    data = base64.b64encode(b"{").decode()
    assert verdict(structured(data=..., data_base64=data)).reason is Reason.NOT_JSON


@pytest.mark.parametrize("version", ["0.3", "1.1", "", None, 1.0, ["1.0"], "9" * 500])
def test_unsupported_specversion_is_rejected(version: Any) -> None:
    rejected = verdict(structured(specversion=version), STRUCTURED)
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith("specversion: ")
    assert len(rejected.detail) < 120


def test_unsupported_ce_specversion_is_rejected() -> None:
    headers: list[Header] = [("ce_specversion", b"0.3"), ("ce_id", b"e-1")]
    assert verdict(event(), headers).detail.startswith("specversion: ")


@pytest.mark.parametrize("event_id", [..., "", None, 17])
def test_structured_event_needs_an_id(event_id: Any) -> None:
    assert verdict(structured(id=event_id)).detail.startswith(
        "id: a CloudEvent needs a non-empty string"
    )


def test_binary_event_without_id_gets_its_position() -> None:
    assert opened(event(id=...), [("ce_specversion", b"1.0")]).event.id == "topic-0-7"


def test_structured_event_must_be_an_object() -> None:
    assert verdict([1], STRUCTURED).detail == "a structured CloudEvent must be a JSON object"


def test_structured_event_needs_data() -> None:
    assert verdict(structured(data=...)).reason is Reason.SCHEMA


def test_header_names_ignore_case_and_values_may_be_any_bytes() -> None:
    headers: list[Header] = [("CE_SpecVersion", b"1.0"), ("Ce_Id", b"\xff\xfe")]
    envelope = opened(event(id=...), headers)
    assert (envelope.mode, envelope.event.id) == (ContentMode.BINARY, "\ufffd\ufffd")


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents-batch+json",
        b"application/cloudevents-batch+json; charset=UTF-8",
        b"application/cloudevents+avro",
        b"Application/CloudEvents+Protobuf",
        b"application/cloudevents+json-seq",
    ],
)
@pytest.mark.parametrize("value", [[structured()], b"\x00\x01"])
def test_batches_and_other_formats_are_rejected(content_type: bytes, value: Any) -> None:
    rejected = verdict(value, [("content-type", content_type)])
    assert rejected.reason is Reason.SCHEMA
    name = content_type.decode().lower().split(";")[0]
    assert rejected.detail == (
        f"content-type: {name} is not supported; send application/cloudevents+json, "
        "one event in each record"
    )


def test_media_type_without_format_means_json() -> None:
    assert opened(structured(), [("content-type", b"application/cloudevents")]).mode is (
        ContentMode.STRUCTURED
    )


def test_other_attributes_are_not_propagated() -> None:
    envelope = opened(structured(traceparent="00-1", subject="s", tracestate=7), STRUCTURED)
    assert envelope.extensions == {"traceparent": "00-1"}


def test_plain_question_has_no_attributes() -> None:
    assert opened(event(traceparent="00-1"), [("ce_traceparent", b"00-1")]).extensions == {}
