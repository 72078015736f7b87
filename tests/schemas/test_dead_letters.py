"""The headers of a dead letter, in the style of Kafka Connect."""

import pytest

from schemas.rejection import MESSAGE_LIMIT, Header, Reason, Rejected, dead_letter_headers


def headers_of(detail: str, reason: Reason = Reason.SCHEMA) -> dict[str, bytes | None]:
    rejected = Rejected(reason, detail)
    return dict(dead_letter_headers(rejected, topic="qa.questions", partition=3, offset=17))


def test_a_dead_letter_says_where_it_lay_and_why() -> None:
    assert headers_of("question: is blank") == {
        "__connect.errors.topic": b"qa.questions",
        "__connect.errors.partition": b"3",
        "__connect.errors.offset": b"17",
        "__connect.errors.exception.class.name": b"schemas.rejection.Rejected",
        "__connect.errors.exception.message": b"question: is blank",
        "qa.reason": b"schema",
    }


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_by_its_value(reason: Reason) -> None:
    assert headers_of("x", reason)["qa.reason"] == reason.value.encode()


def test_the_records_own_headers_stay_in_front_unchanged() -> None:
    own: list[Header] = [("a", b"\xff"), ("a", None), ("qa.reason", b"of the producer")]
    headers = dead_letter_headers(
        Rejected(Reason.SCHEMA, "x"), topic="t", partition=0, offset=0, headers=own
    )
    assert headers[:3] == own
    assert headers[-1] == ("qa.reason", b"schema")


def test_a_lone_surrogate_in_the_message_does_not_stop_its_dead_letter() -> None:
    assert headers_of("bad \ud800 text")["__connect.errors.exception.message"] == b"bad ? text"


def test_a_message_is_cut_in_characters_not_in_bytes() -> None:
    message = headers_of("é" * 2 * MESSAGE_LIMIT)["__connect.errors.exception.message"]
    assert message == ("é" * MESSAGE_LIMIT).encode()


def test_a_rejection_reads_as_reason_and_detail() -> None:
    assert str(Rejected(Reason.QUESTION_TOO_LONG, "300 tokens")) == "question_too_long: 300 tokens"
