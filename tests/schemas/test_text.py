"""The text event in each content mode, and its rejections."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.envelope import ContentMode, Envelope, decode_event
from schemas.question import Question
from schemas.rejection import Header, Reason, Rejected
from schemas.text import Text
from tests.schemas.conftest import MAX_BYTES, event, verdict


def opened(document: Any, headers: Sequence[Header] = ()) -> Envelope[Text]:
    value = json.dumps(document).encode()
    return decode_event(Text, value, headers, default_id="topic-0-7", max_bytes=MAX_BYTES)


def refused(document: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        opened(document)
    return caught.value


def test_plain_text_keeps_id_and_metadata() -> None:
    envelope = opened({"id": "t-1", "text": "Ada wrote it.", "metadata": {"a": 1}, "more": 5})
    assert envelope.mode is ContentMode.PLAIN
    assert envelope.event == Text(id="t-1", text="Ada wrote it.", metadata={"a": 1})


def test_text_without_id_gets_the_default_id() -> None:
    assert opened({"text": "Ada."}).event.id == "topic-0-7"


def test_text_in_both_cloudevents_modes() -> None:
    binary = opened({"text": "Ada."}, [("ce_specversion", b"1.0"), ("ce_id", b"e-1")])
    structured = opened({"specversion": "1.0", "id": "e-1", "data": {"text": "Ada."}})
    assert (binary.mode, structured.mode) == (ContentMode.BINARY, ContentMode.STRUCTURED)
    assert binary.event == structured.event == Text(id="e-1", text="Ada.")


def test_plain_text_may_have_a_specversion_field() -> None:
    assert opened({"specversion": "7", "text": "Ada."}).mode is ContentMode.PLAIN


@pytest.mark.parametrize("value", [5, None, ["Ada."], {"text": "Ada."}])
def test_text_of_the_wrong_type_is_rejected(value: Any) -> None:
    rejected = refused({"text": value})
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == "text: Input should be a valid string"


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0\u2003"])
def test_blank_text_is_rejected(blank: str) -> None:
    assert refused({"text": blank}).detail == "text: is blank"


def test_question_instead_of_a_text_names_what_is_accepted() -> None:
    rejected = refused(event())
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == "text: Field required; this worker accepts texts to embed"


def test_text_instead_of_a_question_names_what_is_accepted() -> None:
    rejected = verdict({"id": "t-1", "text": "Ada wrote it."})
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == (
        "question: Field required; this worker accepts questions with a context"
    )


def test_event_with_fields_of_both_types_is_decoded_as_either() -> None:
    both = event(text="Ada wrote it.")
    assert opened(both).event.text == "Ada wrote it."
    value = json.dumps(both).encode()
    question = decode_event(Question, value, (), default_id="d", max_bytes=MAX_BYTES).event
    assert question.context == "Ada wrote it."
