"""Plain JSON events, Azure ML's `input_data`, default ids, and invalid values."""

import pytest

from schemas.envelope import ContentMode, decode_event
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.schemas.conftest import MAX_BYTES, event, opened, verdict


def test_plain_json_question() -> None:
    envelope = opened(event(metadata={"a": 1}))
    assert envelope.mode is ContentMode.PLAIN
    assert envelope.event == Question(
        id="q-1", question="Who wrote it?", context="Ada wrote it.", metadata={"a": 1}
    )


def test_question_without_id_gets_the_default_id() -> None:
    assert opened(event(id=...)).event.id == "topic-0-7"
    assert opened(event(id=None)).event.id == "topic-0-7"


def test_azure_ml_input_data() -> None:
    envelope = opened({"input_data": {"question": "Who?", "context": "Ada."}})
    assert envelope.mode is ContentMode.PLAIN
    assert (envelope.event.question, envelope.event.context) == ("Who?", "Ada.")


def test_input_data_that_is_not_an_object_is_ignored() -> None:
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
def test_invalid_json_is_rejected(value: bytes) -> None:
    assert verdict(value).reason is Reason.NOT_JSON


@pytest.mark.parametrize("value", [b"null", b"5", b'"text"', b"[]", b"{}", b"[1, 2]", b"true"])
def test_json_without_an_event_is_rejected(value: bytes) -> None:
    assert verdict(value).reason is Reason.SCHEMA


def test_tombstone_is_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        decode_event(Question, None, (), default_id="d", max_bytes=MAX_BYTES)
    assert caught.value.reason is Reason.NULL_VALUE


def test_value_above_max_bytes_is_rejected() -> None:
    value = b'{"question": "Who?", "context": "Ada."}'
    assert decode_event(Question, value, (), default_id="d", max_bytes=len(value)).event.id == "d"
    with pytest.raises(Rejected) as caught:
        decode_event(Question, value, (), default_id="d", max_bytes=len(value) - 1)
    assert caught.value.reason is Reason.RECORD_TOO_LARGE
    assert str(len(value)) in caught.value.detail


def test_headers_without_value_are_ignored() -> None:
    assert (
        opened(event(), [("ce_specversion", None), ("content-type", None)]).mode
        is ContentMode.PLAIN
    )


def test_unknown_fields_are_reported_and_ignored() -> None:
    options = {"top_k": 2, "temperature": 0}
    envelope = opened(event(tenant=7, options=options, metadata={"free": 1}))
    assert envelope.ignored == ("tenant", "options.temperature")
    assert envelope.event.metadata == {"free": 1}


def test_unknown_fields_of_a_cloudevent_are_those_of_its_data() -> None:
    document = {"specversion": "1.0", "id": "e", "time": "now", "data": event(tenant=7)}
    assert opened(document).ignored == ("tenant",)


def test_unknown_fields_of_passages_are_named_once() -> None:
    passages = [{"text": "Ada.", "rank": 1}, {"text": "Bob.", "rank": 2, "metadata": {"free": 1}}]
    assert opened(event(context=..., contexts=passages)).ignored == ("contexts[].rank",)


def test_a_packed_envelope_keeps_the_events_metadata_only() -> None:
    passages = [{"text": "Ada.", "metadata": {"n": [1]}}, {"id": "b", "text": "Bob."}]
    packed = opened(event(context=..., contexts=passages, metadata={"m": 1})).packed()
    assert packed.packed_metadata == b'{"m":1}'
    assert packed.event.metadata == {}
    assert [(each.id, each.text, each.metadata) for each in packed.event.passages] == [
        (None, "Ada.", {}),
        ("b", "Bob.", {}),
    ]
