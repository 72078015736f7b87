"""Texts: in every shape that questions come in, and refused with the same care."""

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


def test_a_plain_text_keeps_its_id_and_its_metadata() -> None:
    envelope = opened({"id": "t-1", "text": "Ada wrote it.", "metadata": {"a": 1}, "more": 5})
    assert envelope.mode is ContentMode.PLAIN
    assert envelope.event == Text(id="t-1", text="Ada wrote it.", metadata={"a": 1})


def test_a_text_without_an_id_is_named_after_its_place() -> None:
    assert opened({"text": "Ada."}).event.id == "topic-0-7"


def test_a_text_comes_as_a_cloudevent_of_either_mode() -> None:
    binary = opened({"text": "Ada."}, [("ce_specversion", b"1.0"), ("ce_id", b"e-1")])
    structured = opened({"specversion": "1.0", "id": "e-1", "data": {"text": "Ada."}})
    assert (binary.mode, structured.mode) == (ContentMode.BINARY, ContentMode.STRUCTURED)
    assert binary.event == structured.event == Text(id="e-1", text="Ada.")


def test_a_text_that_happens_to_have_a_specversion_is_a_plain_one() -> None:
    assert opened({"specversion": "7", "text": "Ada."}).mode is ContentMode.PLAIN


@pytest.mark.parametrize("value", [5, None, ["Ada."], {"text": "Ada."}])
def test_a_text_of_another_type_is_refused_and_named(value: Any) -> None:
    rejected = refused({"text": value})
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == "text: Input should be a valid string"


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0\u2003"])
def test_a_blank_text_is_refused(blank: str) -> None:
    assert refused({"text": blank}).detail == "text: is blank"


def test_a_question_sent_to_be_embedded_is_told_what_is_taken_here() -> None:
    rejected = refused(event())
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == "text: Field required; this worker takes texts, and embeds them"


def test_a_text_sent_to_be_answered_is_told_what_is_taken_here() -> None:
    rejected = verdict({"id": "t-1", "text": "Ada wrote it."})
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == (
        "question: Field required (and 1 more); "
        "this worker takes questions with their contexts, and answers them"
    )


def test_an_event_that_is_both_is_taken_as_what_is_asked_for() -> None:
    both = event(text="Ada wrote it.")
    assert opened(both).event.text == "Ada wrote it."
    value = json.dumps(both).encode()
    question = decode_event(Question, value, (), default_id="d", max_bytes=MAX_BYTES).event
    assert question.context == "Ada wrote it."
