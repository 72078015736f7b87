"""Reasons for a rejection, and the headers of a dead letter.

A dead letter is the rejected record with unchanged key, value and headers, and added headers in
the format of Kafka Connect, so that tools for Connect's dead letters can read it.
"""

from collections.abc import Sequence
from enum import StrEnum

Header = tuple[str, bytes | None]


class Reason(StrEnum):
    """Why a record became a dead letter."""

    NULL_VALUE = "null_value"
    """The record has no value (a tombstone)."""
    RECORD_TOO_LARGE = "record_too_large"
    """The value is larger than the worker's limit."""
    NOT_JSON = "not_json"
    """The value is not JSON (RFC 8259): UTF-8, no NaN, no lone surrogate, limited nesting."""
    NOT_AVRO = "not_avro"
    """The value is not one of its registered Avro schema."""
    NOT_PROTOBUF = "not_protobuf"
    """The value is not a message of its registered Protobuf schema."""
    SCHEMA_UNKNOWN = "schema_unknown"
    """The registry does not have the schema that the record names."""
    SCHEMA_UNUSABLE = "schema_unusable"
    """The registry has the schema, but the worker cannot decode values with it."""
    SCHEMA = "schema"
    """The value is JSON but not a valid event: a field is missing, blank or of the wrong type."""
    OPTION_OUT_OF_RANGE = "option_out_of_range"
    """An option exceeds the worker's limit."""
    QUESTION_TOO_LONG = "question_too_long"
    """The question has more tokens than the worker's limit."""
    CONTEXT_TOO_LONG = "context_too_long"
    """The contexts need more windows than the worker's limit, or there are too many of them."""
    TEXT_TOO_LONG = "text_too_long"
    """The text to embed needs more windows than the worker's limit."""
    MODEL_FAILED = "model_failed"
    """The model failed on this event when it ran alone, or its output is not finite."""
    INTERNAL_ERROR = "internal_error"
    """The worker failed on this event because of a bug; its log has the traceback."""
    UNDECODABLE = "undecodable"
    """The record violates Kafka's format: the name of a header is not UTF-8, for example. Key,
    value and headers are what could be read."""
    UNREADABLE_BATCH = "unreadable_batch"
    """A batch of records is corrupt or decompresses to too much. The dead letter stands for all of
    its records, from its offset to `qa.offset.last`."""
    ANSWER_TOO_LARGE = "answer_too_large"
    """The outcome, usually because of its metadata, exceeds the limit of the answers topic."""
    ANSWER_NOT_ENCODABLE = "answer_not_encodable"
    """The format of the answers topic cannot hold the outcome's metadata: in Protobuf they have a
    limited nesting, and no integers out of the range of a double."""
    ANSWER_REFUSED = "answer_refused"
    """The answers topic's broker refuses the outcome: it fails a check of the topic."""
    EXPIRED = "expired"
    """The event's deadline passed before the model read it."""
    REPLY_NOT_ALLOWED = "reply_not_allowed"
    """The event asks for a reply to a topic that the worker may not answer to."""
    REPLY_UNKNOWN = "reply_unknown"
    """The event asks for a reply to a topic or partition that does not exist, or to which the
    worker has no right to write."""


class Rejected(Exception):  # noqa: N818 - an outcome of an event, not an error of the program
    """The event is rejected. `reason` is for programs, `detail` is one line for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


MESSAGE_LIMIT = 1_000
"""Limit of `detail` in a header, in characters: a message may quote its input."""

SHORT_MESSAGE_LIMIT = 100
"""The same for a dead letter that has not even its question's headers."""

PREFIX = "__connect.errors."
MESSAGE = f"{PREFIX}exception.message"
REASON = "qa.reason"
VALUE_OMITTED = "qa.value.omitted"
"""Size in bytes of the question's value, which the dead letter does not have."""
HEADERS_OMITTED = "qa.headers.omitted"
"""Number of the question's headers, which the dead letter does not have."""
KEY_OMITTED = "qa.key.omitted"
"""Size in bytes of the question's key, or `null` if it has none: the dead letter's key is the
question's topic-partition-offset instead."""
OMITTED = (VALUE_OMITTED, HEADERS_OMITTED, KEY_OMITTED)
LAST_OFFSET = "qa.offset.last"
"""The last offset for which the dead letter of an unreadable batch stands, in decimal."""

_ADDED = (
    f"{PREFIX}topic",
    f"{PREFIX}partition",
    f"{PREFIX}offset",
    f"{PREFIX}exception.class.name",
    MESSAGE,
    REASON,
)

ATTEMPT = "qa.attempt"
"""How many times the question was replayed from the dead-letter topic, in decimal. A dead letter
keeps the headers of its question, so a question that fails again has it too."""
REPLAY_OF = "qa.replay.of"
"""The dead letter from which the question was replayed: topic-partition-offset."""


def split_headers(
    headers: Sequence[Header],
) -> tuple[list[Header], dict[str, bytes | None]]:
    """Splits a dead letter's headers into those of the question and the added ones by name.

    The inverse of `dead_letter_headers`, also for a question that already had such headers.
    """
    expected = {*_ADDED, *OMITTED}
    own: list[Header] = []
    added: dict[str, bytes | None] = {}
    for name, text in reversed(headers):
        if name in expected:
            expected.remove(name)
            added[name] = text
        else:
            own.append((name, text))
        if name == REASON:
            # These are added after the reason; one before it came with the question.
            expected.difference_update(OMITTED)
    return own[::-1], added


def is_replay(headers: Sequence[Header]) -> bool:
    """Whether a question was replayed from the dead-letter topic."""
    return any(name == REPLAY_OF for name, _ in headers)


def dead_letter_headers(
    rejected: Rejected,
    *,
    topic: str,
    partition: int,
    offset: int,
    headers: Sequence[Header] = (),
) -> list[Header]:
    """The headers of the record, then Kafka Connect's error headers, then `qa.reason`."""
    values = (
        topic,
        str(partition),
        str(offset),
        f"{Rejected.__module__}.{Rejected.__qualname__}",
        rejected.detail[:MESSAGE_LIMIT],
        rejected.reason.value,
    )
    # `replace`: a message may quote a lone surrogate, which UTF-8 cannot encode.
    added = (text.encode("utf-8", "replace") for text in values)
    return [*headers, *zip(_ADDED, added, strict=True)]
