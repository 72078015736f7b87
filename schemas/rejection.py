"""Why an event cannot be read, and how a dead letter says so.

A dead letter is the event's record, bytes, key and headers unchanged, with headers added in
the style of Kafka Connect, so that the tools that read Connect's dead letters read ours.
"""

from collections.abc import Sequence
from enum import StrEnum

Header = tuple[str, bytes | None]


class Reason(StrEnum):
    """Every reason for which a record becomes a dead letter."""

    NULL_VALUE = "null_value"
    """The record has no value (a tombstone)."""
    RECORD_TOO_LARGE = "record_too_large"
    """The value is larger than the worker takes."""
    NOT_JSON = "not_json"
    """The value is not JSON as RFC 8259 has it: UTF-8, no NaN, no lone surrogate, not too deep."""
    SCHEMA = "schema"
    """JSON, but no event for this worker: a field is missing, blank or of the wrong type."""
    OPTION_OUT_OF_RANGE = "option_out_of_range"
    """An option asks for more than this worker allows."""
    QUESTION_TOO_LONG = "question_too_long"
    """The question has more tokens than the worker allows."""
    CONTEXT_TOO_LONG = "context_too_long"
    """The context needs more windows than the worker allows."""
    TEXT_TOO_LONG = "text_too_long"
    """The text to embed needs more windows than the worker allows."""
    MODEL_FAILED = "model_failed"
    """The model raised on this event even when it ran alone, or what it gave is not finite."""
    INTERNAL_ERROR = "internal_error"
    """The worker itself failed on this event: a bug, logged with its traceback."""
    ANSWER_TOO_LARGE = "answer_too_large"
    """The outcome (its metadata, as a rule) is larger than the answers topic takes."""


class Rejected(Exception):  # noqa: N818 - a verdict on an event, not a fault of the program
    """This event cannot be read: `reason` for machines, `detail` for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


MESSAGE_LIMIT = 1_000
"""Characters of `detail` kept in a header: a message may quote its input, which may be large."""

PREFIX = "__connect.errors."
REASON = "qa.reason"
VALUE_OMITTED = "qa.value.omitted"
_ADDED = (
    f"{PREFIX}topic",
    f"{PREFIX}partition",
    f"{PREFIX}offset",
    f"{PREFIX}exception.class.name",
    f"{PREFIX}exception.message",
    REASON,
)

ATTEMPT = "qa.attempt"
"""How often a question was sent again from the dead letters, in decimal. A dead letter keeps its
question's headers, so one that fails again carries it."""
REPLAY_OF = "qa.replay.of"
"""The dead letter that a question was sent again from: topic-partition-offset."""


def split_headers(
    headers: Sequence[Header],
) -> tuple[list[Header], dict[str, bytes | None]]:
    """A dead letter's headers: those of its question, and what was added to them by name.

    The inverse of `dead_letter_headers`, also for questions that came with such headers.
    """
    awaited = {*_ADDED, VALUE_OMITTED}
    own: list[Header] = []
    added: dict[str, bytes | None] = {}
    for name, text in reversed(headers):
        if name in awaited:
            awaited.remove(name)
            added[name] = text
        else:
            own.append((name, text))
        if name == REASON:
            # Only what stands behind the reason says that this letter has no value.
            awaited.discard(VALUE_OMITTED)
    return own[::-1], added


def is_replay(headers: Sequence[Header]) -> bool:
    """Whether a question was sent again from the dead letters."""
    return any(name == REPLAY_OF for name, _ in headers)


def dead_letter_headers(
    rejected: Rejected,
    *,
    topic: str,
    partition: int,
    offset: int,
    headers: Sequence[Header] = (),
) -> list[Header]:
    """The record's own headers, then Kafka Connect's error headers, then `qa.reason`."""
    said = (
        topic,
        str(partition),
        str(offset),
        f"{Rejected.__module__}.{Rejected.__qualname__}",
        rejected.detail[:MESSAGE_LIMIT],
        rejected.reason.value,
    )
    # A message that quotes a lone surrogate must not stop its own dead letter.
    added = (text.encode("utf-8", "replace") for text in said)
    return [*headers, *zip(_ADDED, added, strict=True)]
