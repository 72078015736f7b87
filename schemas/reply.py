"""Replies: where the headers of an event ask for one, and the reply to an event that is rejected.

The headers are those of two clients: `kafka_replyTopic` and `kafka_replyPartition` of Spring's
`ReplyingKafkaTemplate`, `reply_to` of FastStream. Names are compared without case. Of two headers
with one name the last counts, as in Kafka's own `lastHeader`.
https://docs.spring.io/spring-kafka/reference/kafka/sending-messages.html#replying-template
https://faststream.ag2.ai/latest/kafka/Publisher/#request-reply
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from schemas.answer import OutputEvent
from schemas.envelope import PROPAGATED_HEADERS
from schemas.rejection import MESSAGE_LIMIT, REASON, Header, Reason, Rejected

TOPIC_HEADERS = ("kafka_replyTopic", "reply_to")
"""The first of these that an event has, and that is not empty, names the topic."""

PARTITION_HEADER = "kafka_replyPartition"
"""A number of four bytes, big-endian, as Java's `ByteBuffer.putInt` writes it."""

TOPIC_NAME = "1 to 249 of the letters a to z and A to Z, digits, dots, underscores and hyphens"
"""What `is_topic_name` allows, for people."""

_PARTITION_BYTES = 4
_TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReplyAddress:
    """Where an event asks for its reply."""

    topic: str
    partition: int | None
    """None: by the key of the event."""


class ErrorDetail(OutputEvent):
    """Why the event was rejected."""

    reason: str = Field(
        description="for programs: that of the dead letter; later versions may add reasons"
    )
    detail: str = Field(max_length=MESSAGE_LIMIT, description="one line for people")


class ErrorReply(OutputEvent):
    """The reply to an event that was rejected. Its record has the event's correlation headers."""

    id: str = Field(
        description="the event's id, if it could be read; otherwise topic-partition-offset"
    )
    error: ErrorDetail


def is_topic_name(text: str) -> bool:
    """Whether Kafka allows a topic of that name."""
    return _TOPIC_NAME.fullmatch(text) is not None


def reply_address(headers: Sequence[Header]) -> ReplyAddress | None:
    """Where the headers ask for a reply; None if they do not.

    Raises `Rejected` with `reply_unknown` if no topic or partition can have the name or number.
    """
    found = {name.lower(): text for name, text in headers}
    for header in TOPIC_HEADERS:
        if name := found.get(header.lower()):
            break
    else:
        return None
    topic = name.decode("utf-8", "replace")
    if not is_topic_name(topic):
        raise Rejected(
            Reason.REPLY_UNKNOWN,
            f"{header}: is not a topic's name: {TOPIC_NAME}",
        )
    number = found.get(PARTITION_HEADER.lower())
    if number is None:
        return ReplyAddress(topic, None)
    partition = int.from_bytes(number, "big", signed=True)
    if len(number) != _PARTITION_BYTES or partition < 0:
        raise Rejected(
            Reason.REPLY_UNKNOWN,
            f"{PARTITION_HEADER}: is not a partition: {_PARTITION_BYTES} bytes, a big-endian "
            f"number that is not negative; its size in bytes is {len(number)}",
        )
    return ReplyAddress(topic, partition)


def encode_error_reply(
    event_id: str, rejected: Rejected, headers: Sequence[Header]
) -> tuple[bytes, list[Header]]:
    """Value and headers of the error reply's record; `headers` are those of the event.

    It is plain JSON, also for a CloudEvent: of a rejected event the content mode may be unknown.
    """
    # `replace`: a message may quote a lone surrogate, which UTF-8 cannot encode.
    detail = rejected.detail[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()
    reply = ErrorReply(id=event_id, error=ErrorDetail(reason=rejected.reason.value, detail=detail))
    propagated = [(name, text) for name, text in headers if name.lower() in PROPAGATED_HEADERS]
    return reply.model_dump_json().encode(), [
        *propagated,
        (REASON, rejected.reason.value.encode()),
        ("content-type", b"application/json"),
    ]
