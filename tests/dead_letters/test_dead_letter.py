"""What a dead letter says, which letters a filter takes, and the question that is sent again."""

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
from worker.streaming.codec import drop_value, encode_dead_letter


@dataclass(frozen=True)
class Record:
    """As the client gives it."""

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
    """The letter that becomes of a question."""
    sent = encode_dead_letter(question, Rejected(Reason.SCHEMA, "no field"), "dead")
    if omitted:
        sent = drop_value(sent)
    return DeadLetter.from_record(Record(tuple(sent.headers), sent.key, sent.value))


@given(HEADERS, BYTES, BYTES, st.booleans())
def test_a_letter_tells_all_of_its_question_whatever_headers_that_came_with(
    headers: tuple[Header, ...], key: bytes | None, value: bytes | None, omitted: bool
) -> None:
    letter = rejected(InputRecord("in", 3, 41, key, value, headers), omitted=omitted)
    assert letter.question_headers == headers
    assert (letter.reason, letter.message) == ("schema", "no field")
    assert letter.question == RecordPosition("in", 3, 41)
    assert (letter.position, letter.timestamp_ms) == (RecordPosition("dead", 1, 7), 1_000)
    assert (letter.key, letter.value) == (key, None if omitted else value)
    assert letter.omitted_bytes == (len(value or b"") if omitted else None)
    assert letter.size == len(value or b"")


@given(HEADERS, BYTES, BYTES)
def test_the_question_that_is_sent_again_is_the_one_that_came_and_says_what_it_is(
    headers: tuple[Header, ...], key: bytes | None, value: bytes | None
) -> None:
    letter = rejected(InputRecord("in", 3, 41, key, value, headers))
    again = to_replay_record(letter, letter.value, "questions")
    assert (again.topic, again.key, again.value, again.source_partition) == (
        "questions",
        key,
        value,
        3,
    )
    ours = (ATTEMPT, REPLAY_OF)
    assert list(again.headers) == [
        *(header for header in headers if header[0] not in ours),
        (ATTEMPT, b"%d" % (letter.attempt + 1)),
        (REPLAY_OF, b"dead-1-7"),
    ]


@given(st.integers(1, 6))
def test_each_round_through_the_dead_letters_counts_until_there_were_enough(most: int) -> None:
    question, rounds = InputRecord("in", 0, 0, b"k", b"v", ()), 0
    while (letter := rejected(question)) and skip_reason(
        letter, replayed=(), max_attempts=most
    ) is None:
        again = to_replay_record(letter, b"v", "in")
        question, rounds = replace(question, headers=again.headers), rounds + 1
    assert rounds == letter.attempt == most


@pytest.mark.parametrize("said", [b"", b"-5", b"three", b"1e9", "\u0663".encode(), b"9" * 19])
def test_an_attempt_that_is_no_number_counts_as_none(said: bytes) -> None:
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
def test_a_record_of_somebody_else_is_shown_and_not_sent(headers: tuple[Header, ...]) -> None:
    letter = DeadLetter.from_record(Record(headers))
    assert letter.question is None
    assert skip_reason(letter, replayed=(), max_attempts=3) is SkipReason.NOT_A_DEAD_LETTER


def test_what_was_replayed_before_is_left_alone() -> None:
    letter = rejected(InputRecord("in", 0, 0, None, None, ()))
    assert skip_reason(letter, replayed={"dead-1-7"}, max_attempts=3) is SkipReason.REPLAYED
    assert skip_reason(letter, replayed={"dead-1-70", "dead-1-8"}, max_attempts=3) is None


def test_headers_that_are_not_ours_are_those_of_connect_in_their_order() -> None:
    # Kafka Connect's own dead letters, read as questions, keep what Connect had to say.
    own = [("__connect.errors.topic", b"earlier"), ("__connect.errors.partition", b"9")]
    headers = dead_letter_headers(
        Rejected(Reason.NOT_JSON, "x"), topic="in", partition=3, offset=41, headers=own
    )
    letter = DeadLetter.from_record(Record(tuple(headers)))
    assert letter.question_headers == tuple(own)
    assert letter.question == RecordPosition("in", 3, 41)


LETTER = rejected(InputRecord("in", 0, 0, None, None, ()))


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
def test_a_filter_takes_a_letter_to_which_all_of_it_applies(
    wanted: DeadLetterFilter, taken: bool
) -> None:
    assert wanted.matches(LETTER) is taken
