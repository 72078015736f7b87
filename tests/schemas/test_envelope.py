"""Plain events: JSON, Azure ML's shape, ids, and what is no event at all."""

import pytest

from schemas.envelope import ContentMode, decode_event
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.schemas.conftest import MAX_BYTES, event, opened, verdict


def test_plain_json_is_a_question() -> None:
    envelope = opened(event(metadata={"a": 1}))
    assert envelope.mode is ContentMode.PLAIN
    assert envelope.event == Question(
        id="q-1", question="Who wrote it?", context="Ada wrote it.", metadata={"a": 1}
    )


def test_a_question_without_an_id_is_named_after_its_place() -> None:
    assert opened(event(id=...)).event.id == "topic-0-7"
    assert opened(event(id=None)).event.id == "topic-0-7"


def test_azure_mls_shape_is_a_plain_question() -> None:
    envelope = opened({"input_data": {"question": "Who?", "context": "Ada."}})
    assert envelope.mode is ContentMode.PLAIN
    assert (envelope.event.question, envelope.event.context) == ("Who?", "Ada.")


def test_input_data_that_is_no_object_is_an_unknown_field() -> None:
    assert opened(event(input_data="x")).event.id == "q-1"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"   ",
        b"{",
        b"Who wrote it?",
        b'{"question": "Who?", "context": "Ada."',
        b'{"question": "Who?", "context": "Ada."} trailing',
        b'{"question": NaN, "context": "Ada."}',
        b'{"question": "Who?", "context": "Ada.", "metadata": {"n": Infinity}}',
        b'\xef\xbb\xbf{"question": "Who?", "context": "Ada."}',
        b'{"question": "Who?", "context": "\xff"}',
        b'{"question": "Who?", "context": "\\ud800"}',
        b"[" * 10_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"1" * 5_000,
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_not_json_is_refused_as_that(value: bytes) -> None:
    assert verdict(value).reason is Reason.NOT_JSON


@pytest.mark.parametrize("value", [b"null", b"5", b'"text"', b"[]", b"{}", b"[1, 2]", b"true"])
def test_json_that_is_no_event_is_refused_as_that(value: bytes) -> None:
    assert verdict(value).reason is Reason.SCHEMA


def test_a_tombstone_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        decode_event(Question, None, (), default_id="d", max_bytes=MAX_BYTES)
    assert caught.value.reason is Reason.NULL_VALUE


def test_a_value_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    value = b'{"question": "Who?", "context": "Ada."}'
    assert decode_event(Question, value, (), default_id="d", max_bytes=len(value)).event.id == "d"
    with pytest.raises(Rejected) as caught:
        decode_event(Question, value, (), default_id="d", max_bytes=len(value) - 1)
    assert caught.value.reason is Reason.RECORD_TOO_LARGE
    assert str(len(value)) in caught.value.detail


def test_headers_without_a_value_are_no_headers() -> None:
    assert (
        opened(event(), [("ce_specversion", None), ("content-type", None)]).mode
        is ContentMode.PLAIN
    )


def test_fields_that_nobody_knows_are_named_and_no_error() -> None:
    options = {"top_k": 2, "temperature": 0}
    envelope = opened(event(tenant=7, options=options, metadata={"free": 1}))
    assert envelope.ignored == ("tenant", "options.temperature")
    assert envelope.event.metadata == {"free": 1}


def test_of_a_cloudevent_only_its_data_is_looked_at() -> None:
    document = {"specversion": "1.0", "id": "e", "time": "now", "data": event(tenant=7)}
    assert opened(document).ignored == ("tenant",)
