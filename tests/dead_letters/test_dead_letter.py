"""Parsing and filtering of dead letters, and the record that replays one."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rejection import (
    ATTEMPT,
    REPLAY_OF,
    VALUE_OMITTED,
    Header,
    Reason,
    Rejected,
    dead_letter_headers,
)
from worker.dead_letters.dead_letter import (
    DeadLetter,
    DeadLetterFilter,
    SkipReason,
    skip_reason,
    to_replay_record,
)
from worker.kafka.records import InputRecord, RecordPosition
from worker.streaming.codec import encode_dead_letter, shrink_dead_letter


@dataclass(frozen=True)
class Record:
    """A ConsumerRecord's fields."""

    headers: tuple[Header, ...]
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    topic: str = "dead"
    partition: int = 1
    offset: int = 7
    timestamp: int = 1_000


NAMES = st.sampled_from(
    [
        "traceparent",
        "ce_id",
        ATTEMPT,
        REPLAY_OF,
        "qa.reason",
        VALUE_OMITTED,
        "__connect.errors.topic",
        "__connect.errors.offset",
        "__connect.errors.exception.message",
    ]
)
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=3)), max_size=8).map(tuple)
BYTES = st.none() | st.binary(max_size=5)


def rejected(question: InputRecord, *, omitted: bool = False) -> DeadLetter:
    """The dead letter of a rejected question."""
    sent = encode_dead_letter(question, Rejected(Reason.SCHEMA, "no field"), "dead")
    if omitted and question.value is not None:
        smaller = shrink_dead_letter(question, sent)
        assert smaller is not None
        sent = smaller
    return DeadLetter.from_record(Record(tuple(sent.headers), sent.key, sent.value))


@given(HEADERS, BYTES, BYTES, st.booleans())
def test_dead_letter_restores_its_question_with_any_headers(
    headers: tuple[Header, ...], key: bytes | None, value: bytes | None, omitted: bool
) -> None:
    dead_letter = rejected(InputRecord("in", 3, 41, key, value, headers), omitted=omitted)
    assert dead_letter.question_headers == headers
    assert (dead_letter.reason, dead_letter.message) == ("schema", "no field")
    assert dead_letter.question == RecordPosition("in", 3, 41)
    assert (dead_letter.position, dead_letter.timestamp_ms) == (RecordPosition("dead", 1, 7), 1_000)
    assert (dead_letter.key, dead_letter.value) == (key, None if omitted else value)
    assert dead_letter.omitted_bytes == (len(value) if omitted and value is not None else None)
    assert dead_letter.size == len(value or b"")


@given(HEADERS, BYTES, BYTES, st.booleans(), st.integers(0, 4))
def test_a_dead_letter_of_any_form_is_completed_by_its_question_alone(
    headers: tuple[Header, ...],
    key: bytes | None,
    value: bytes | None,
    requires_key: bool,
    shrinks: int,
) -> None:
    question = InputRecord("in", 3, 41, key, value, headers)
    refused = Rejected(Reason.SCHEMA, "no field")
    sent = encode_dead_letter(question, refused, "dead", requires_key=requires_key)
    for _ in range(shrinks):
        sent = shrink_dead_letter(question, sent) or sent
    dead_letter = DeadLetter.from_record(Record(tuple(sent.headers), sent.key, sent.value))
    assert dead_letter.is_complete or shrinks
    whole = dead_letter if dead_letter.is_complete else dead_letter.complete(key, value, headers)
    assert whole is not None
    assert (whole.question_key, whole.value, whole.question_headers) == (key, value, headers)
    assert (whole.reason, whole.question) == ("schema", RecordPosition("in", 3, 41))
    if not dead_letter.is_complete:
        assert dead_letter.complete((key or b"") + b"x", value, headers) is None
        assert dead_letter.complete(key, (value or b"") + b"x", headers) is None


@given(HEADERS, BYTES, BYTES)
def test_replay_record_is_the_question_with_two_more_headers(
    headers: tuple[Header, ...], key: bytes | None, value: bytes | None
) -> None:
    dead_letter = rejected(InputRecord("in", 3, 41, key, value, headers))
    again = to_replay_record(dead_letter, "questions")
    assert (again.topic, again.key, again.value, again.source_partition) == (
        "questions",
        key,
        value,
        3,
    )
    ours = (ATTEMPT, REPLAY_OF)
    assert list(again.headers) == [
        *(header for header in headers if header[0] not in ours),
        (ATTEMPT, b"%d" % (dead_letter.attempt + 1)),
        (REPLAY_OF, b"dead-1-7"),
    ]


@given(st.integers(1, 6))
def test_attempts_are_counted_up_to_the_maximum(most: int) -> None:
    question, rounds = InputRecord("in", 0, 0, b"k", b"v", ()), 0
    while (dead_letter := rejected(question)) and skip_reason(
        dead_letter, replayed=(), max_attempts=most
    ) is None:
        again = to_replay_record(dead_letter, "in")
        question, rounds = replace(question, headers=again.headers), rounds + 1
    assert rounds == dead_letter.attempt == most


def test_an_expired_question_is_replayed_only_if_asked_for_by_reason() -> None:
    question = InputRecord("in", 0, 0, b"k", b"v", ())
    sent = encode_dead_letter(question, Rejected(Reason.EXPIRED, "too late"), "dead")
    expired = DeadLetter.from_record(Record(tuple(sent.headers), sent.key, sent.value))

    def skipped(*reasons: Reason, replayed: tuple[str, ...] = ()) -> SkipReason | None:
        return skip_reason(expired, replayed=replayed, max_attempts=3, reasons=reasons)

    assert skipped() is SkipReason.EXPIRED
    assert skipped(Reason.SCHEMA, Reason.EXPIRED) is None
    assert skipped(Reason.EXPIRED, replayed=("dead-1-7",)) is SkipReason.REPLAYED
    other = rejected(question)
    assert skip_reason(other, replayed=(), max_attempts=3, reasons=()) is None


@pytest.mark.parametrize("said", [b"", b"-5", b"three", b"1e9", "\u0663".encode(), b"9" * 19])
def test_malformed_attempt_counts_as_zero(said: bytes) -> None:
    assert rejected(InputRecord("in", 0, 0, None, None, [(ATTEMPT, said)])).attempt == 0


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("qa.reason", b"schema"),),
        (("__connect.errors.topic", b"in"), ("__connect.errors.offset", b"1")),
        (
            ("__connect.errors.topic", b"in"),
            ("__connect.errors.partition", b"x"),
            ("__connect.errors.offset", b"1"),
            ("qa.reason", b"schema"),
        ),
    ],
)
def test_records_without_our_headers_are_skipped(headers: tuple[Header, ...]) -> None:
    dead_letter = DeadLetter.from_record(Record(headers))
    assert dead_letter.question is None
    assert skip_reason(dead_letter, replayed=(), max_attempts=3) is SkipReason.NOT_A_DEAD_LETTER


def test_replayed_dead_letters_are_skipped() -> None:
    dead_letter = rejected(InputRecord("in", 0, 0, None, None, ()))
    assert skip_reason(dead_letter, replayed={"dead-1-7"}, max_attempts=3) is SkipReason.REPLAYED
    assert skip_reason(dead_letter, replayed={"dead-1-70", "dead-1-8"}, max_attempts=3) is None


def test_headers_of_kafka_connect_stay_question_headers() -> None:
    # Kafka Connect's own dead letters, consumed as questions, keep the headers of Connect.
    own = [("__connect.errors.topic", b"earlier"), ("__connect.errors.partition", b"9")]
    headers = dead_letter_headers(
        Rejected(Reason.NOT_JSON, "x"), topic="in", partition=3, offset=41, headers=own
    )
    dead_letter = DeadLetter.from_record(Record(tuple(headers)))
    assert dead_letter.question_headers == tuple(own)
    assert dead_letter.question == RecordPosition("in", 3, 41)


DEAD_LETTER = rejected(InputRecord("in", 0, 0, None, None, ()))


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (DeadLetterFilter(), True),
        (DeadLetterFilter(reasons=frozenset({Reason.SCHEMA, Reason.NOT_JSON})), True),
        (DeadLetterFilter(reasons=frozenset({Reason.NOT_JSON})), False),
        (DeadLetterFilter(since=1_000), True),
        (DeadLetterFilter(since=1_001), False),
        (DeadLetterFilter(until=1_000), False),
        (DeadLetterFilter(until=1_001), True),
        (DeadLetterFilter(partition=1), True),
        (DeadLetterFilter(partition=0), False),
        (DeadLetterFilter(first=7, last=7), True),
        (DeadLetterFilter(first=8), False),
        (DeadLetterFilter(last=6), False),
        (DeadLetterFilter(partition=1, since=0, until=2_000, first=0, last=6), False),
    ],
)
def test_filter_requires_all_conditions(wanted: DeadLetterFilter, taken: bool) -> None:
    assert wanted.matches(DEAD_LETTER) is taken
