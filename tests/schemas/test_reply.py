"""Headers that ask for a reply, and the error reply."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rejection import Header, Reason, Rejected
from schemas.reply import ReplyAddress, encode_error_reply, reply_address
from tests.examples import examples
from tests.schemas.valid import faults, published

TO = ("kafka_replyTopic", b"replies")
NUMBER = "kafka_replyPartition"


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([TO], ReplyAddress("replies", None)),
        ([("KAFKA_REPLYTOPIC", b"a-1.b_2")], ReplyAddress("a-1.b_2", None)),
        ([("Reply_To", b"replies")], ReplyAddress("replies", None)),
        ([("reply_to", b"other"), TO], ReplyAddress("replies", None)),
        ([("reply_to", b"a"), ("reply_to", b"b")], ReplyAddress("b", None)),
        ([TO, (NUMBER, b"\0\0\1\2")], ReplyAddress("replies", 258)),
        ([("reply_to", b"replies"), (NUMBER.upper(), b"\0\0\0\0")], ReplyAddress("replies", 0)),
        # No topic, so no reply.
        ([], None),
        ([("reply_to", b"")], None),
        ([("kafka_replyTopic", None)], None),
        ([(NUMBER, b"x")], None),
        ([("kafka_replyTopic", b""), ("reply_to", b"replies")], ReplyAddress("replies", None)),
    ],
)
def test_headers_name_topic_and_partition(
    headers: list[Header], address: ReplyAddress | None
) -> None:
    assert reply_address(headers) == address


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([("reply_to", b"\xff")], "reply_to: is not a topic's name"),
        ([("kafka_replyTopic", b"a b")], "kafka_replyTopic: is not a topic's name"),
        ([("reply_to", b"..")], "is not a topic's name"),
        ([("reply_to", b"x" * 250)], "is not a topic's name"),
        ([("reply_to", "é".encode())], "is not a topic's name"),
        ([("reply_to", b"a\n")], "is not a topic's name"),
        ([TO, (NUMBER, b"")], "kafka_replyPartition: is not a partition: .* is 0"),
        ([TO, (NUMBER, b"3")], "size in bytes is 1"),
        ([TO, (NUMBER, b"\0" * 8)], "size in bytes is 8"),
        ([TO, (NUMBER, b"\xff\xff\xff\xff")], "that is not negative"),
    ],
)
def test_nonsense_names_no_topic_or_partition(headers: list[Header], detail: str) -> None:
    with pytest.raises(Rejected, match=detail) as caught:
        reply_address(headers)
    assert caught.value.reason is Reason.REPLY_UNKNOWN


names = st.sampled_from(["kafka_replyTopic", "reply_to", NUMBER, "KAFKA_REPLYTOPIC", "x"])


@examples(200)
@given(st.lists(st.tuples(names, st.none() | st.binary(max_size=300))))
def test_any_headers_name_an_address_or_none_or_are_rejected(headers: list[Header]) -> None:
    try:
        address = reply_address(headers)
    except Rejected as rejected:
        reason = rejected.reason
    else:
        reason = Reason.REPLY_UNKNOWN
        assert address is None or (address.partition or 0) >= 0
    assert reason is Reason.REPLY_UNKNOWN


def test_error_reply_has_the_correlation_headers_and_the_reason() -> None:
    rejected = Rejected(Reason.SCHEMA, "question: \ud800 is blank" + "x" * 2_000)
    correlation = ("kafka_correlationId", b"\0\xff")
    value, headers = encode_error_reply("q-1", rejected, [TO, correlation, ("own", b"1")])
    reply = json.loads(value)
    assert reply["id"] == "q-1"
    assert reply["error"]["reason"] == "schema"
    assert reply["error"]["detail"].startswith("question: ? is blankxx")
    assert len(reply["error"]["detail"]) == 1_000
    assert faults(published("error-reply"), reply) == []
    assert headers == [
        correlation,
        ("qa.reason", b"schema"),
        ("content-type", b"application/json"),
    ]
