"""CloudEvents 1.0 on Kafka: structured and binary."""

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
def test_the_content_type_says_structured(content_type: bytes) -> None:
    envelope = opened(structured(), [("Content-Type", content_type)])
    assert envelope.mode is ContentMode.STRUCTURED
    assert envelope.event.question == "Who wrote it?"


def test_the_content_type_decides_where_headers_say_binary_too() -> None:
    headers = [
        ("content-type", b"application/cloudevents+json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-2"),
    ]
    assert opened(structured(), headers).mode is ContentMode.STRUCTURED


def test_a_structured_event_is_known_without_its_content_type() -> None:
    assert opened(structured()).mode is ContentMode.STRUCTURED


def test_a_plain_question_may_have_a_field_called_specversion() -> None:
    assert opened(event(specversion="7")).mode is ContentMode.PLAIN


def test_a_question_without_an_id_takes_the_events() -> None:
    assert opened(structured()).event.id == "e-1"
    assert opened(event(id=...), BINARY).event.id == "e-1"


def test_a_questions_own_id_comes_before_the_events() -> None:
    assert opened(structured(data=event())).event.id == "q-1"
    assert opened(event(), BINARY).event.id == "q-1"


def test_data_may_come_as_base64() -> None:
    data = base64.b64encode(json.dumps(event()).encode()).decode()
    assert opened(structured(data=..., data_base64=data)).event.id == "q-1"


def test_azure_mls_shape_may_be_the_data() -> None:
    data = {"input_data": event()}
    assert opened(structured(data=data)).event.id == "q-1"
    assert opened(data, BINARY).event.id == "q-1"


@pytest.mark.parametrize("data", ["not base64!", "e!30=", "YQ", "é", 5, None, ["YQ=="]])
def test_base64_that_is_none_is_refused_and_named(data: Any) -> None:
    rejected = verdict(structured(data=..., data_base64=data))
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith("data_base64: ")


def test_base64_that_holds_no_json_is_not_json() -> None:
    data = base64.b64encode(b"{").decode()
    assert verdict(structured(data=..., data_base64=data)).reason is Reason.NOT_JSON


@pytest.mark.parametrize("version", ["0.3", "1.1", "", None, 1.0, ["1.0"], "9" * 500])
def test_another_version_is_refused_and_named(version: Any) -> None:
    rejected = verdict(structured(specversion=version), STRUCTURED)
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith("specversion: ")
    assert len(rejected.detail) < 120


def test_another_version_in_binary_mode_is_refused() -> None:
    headers: list[Header] = [("ce_specversion", b"0.3"), ("ce_id", b"e-1")]
    assert verdict(event(), headers).detail.startswith("specversion: ")


@pytest.mark.parametrize("event_id", [..., "", None, 17])
def test_a_structured_event_without_an_id_is_refused(event_id: Any) -> None:
    assert verdict(structured(id=event_id)).detail.startswith("id: a CloudEvent needs one")


def test_a_binary_event_without_an_id_is_named_after_its_place() -> None:
    assert opened(event(id=...), [("ce_specversion", b"1.0")]).event.id == "topic-0-7"


def test_a_structured_event_is_an_object() -> None:
    assert verdict([1], STRUCTURED).detail == "a structured CloudEvent is a JSON object"


def test_a_structured_event_without_data_is_no_question() -> None:
    assert verdict(structured(data=...)).reason is Reason.SCHEMA


def test_header_names_are_read_in_any_case_and_values_in_any_bytes() -> None:
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
def test_batches_and_other_formats_are_refused_and_named(content_type: bytes, value: Any) -> None:
    rejected = verdict(value, [("content-type", content_type)])
    assert rejected.reason is Reason.SCHEMA
    name = content_type.decode().lower().split(";")[0]
    assert rejected.detail == (
        f"content-type: {name} is not read; send application/cloudevents+json, one event a record"
    )


def test_a_media_type_without_a_format_is_jsons() -> None:
    assert opened(structured(), [("content-type", b"application/cloudevents")]).mode is (
        ContentMode.STRUCTURED
    )


def test_other_attributes_of_an_event_do_not_come_back() -> None:
    envelope = opened(structured(traceparent="00-1", subject="s", tracestate=7), STRUCTURED)
    assert envelope.extensions == {"traceparent": "00-1"}


def test_a_plain_question_has_no_attributes() -> None:
    assert opened(event(traceparent="00-1"), [("ce_traceparent", b"00-1")]).extensions == {}
