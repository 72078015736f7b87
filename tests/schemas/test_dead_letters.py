"""The headers of a dead letter, in the format of Kafka Connect."""

import pytest

from schemas.rejection import MESSAGE_LIMIT, Header, Reason, Rejected, dead_letter_headers


def headers_of(detail: str, reason: Reason = Reason.SCHEMA) -> dict[str, bytes | None]:
    rejected = Rejected(reason, detail)
    return dict(dead_letter_headers(rejected, topic="qa.questions", partition=3, offset=17))


def test_headers_have_position_and_reason() -> None:
    assert headers_of("question: is blank") == {
        "__connect.errors.topic": b"qa.questions",
        "__connect.errors.partition": b"3",
        "__connect.errors.offset": b"17",
        "__connect.errors.exception.class.name": b"schemas.rejection.Rejected",
        "__connect.errors.exception.message": b"question: is blank",
        "qa.reason": b"schema",
    }


@pytest.mark.parametrize("reason", Reason)
def test_reason_header_is_the_enum_value(reason: Reason) -> None:
    assert headers_of("x", reason)["qa.reason"] == reason.value.encode()


def test_record_headers_come_first_unchanged() -> None:
    own: list[Header] = [("a", b"\xff"), ("a", None), ("qa.reason", b"of the producer")]
    headers = dead_letter_headers(
        Rejected(Reason.SCHEMA, "x"), topic="t", partition=0, offset=0, headers=own
    )
    assert headers[:3] == own
    assert headers[-1] == ("qa.reason", b"schema")


def test_lone_surrogate_in_the_message_is_replaced() -> None:
    assert headers_of("bad \ud800 text")["__connect.errors.exception.message"] == b"bad ? text"


def test_message_is_truncated_by_characters() -> None:
    message = headers_of("é" * 2 * MESSAGE_LIMIT)["__connect.errors.exception.message"]
    assert message == ("é" * MESSAGE_LIMIT).encode()


def test_rejected_message_is_reason_and_detail() -> None:
    assert str(Rejected(Reason.QUESTION_TOO_LONG, "300 tokens")) == "question_too_long: 300 tokens"
