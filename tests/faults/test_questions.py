"""The mix of questions, and that each has the outcome it names."""

import json
from collections import Counter

import pytest

from schemas.question import Question as Event
from schemas.rejection import Rejected
from tests.faults.questions import LARGE_BYTES, SMALL_LIMIT, question
from tests.streaming.stub_engine import answer_to
from worker.kafka.records import InputRecord, OutputRecord
from worker.streaming.codec import decode_record, encode_outcome_record

MANY = range(3000)


def incoming(number: int) -> InputRecord:
    asked = question(number)
    return InputRecord("questions", 0, number, asked.key, asked.value, [])


def answered(number: int) -> OutputRecord:
    envelope = decode_record(Event, incoming(number), max_bytes=2**20)
    return encode_outcome_record(incoming(number), envelope, answer_to(envelope.event), "answers")


def test_a_number_is_always_the_same_question() -> None:
    assert [question(n) for n in MANY[:100]] == [question(n) for n in MANY[:100]]


def test_most_are_good_some_are_bad_some_are_large() -> None:
    kinds = Counter(
        "bad" if not asked.is_good else "large" if asked.reasons else "good"
        for asked in map(question, MANY)
    )
    assert kinds["good"] > 0.85 * len(MANY)
    assert kinds["bad"] > 100
    assert kinds["large"] > 50
    assert len({reason for n in MANY for reason in question(n).reasons}) == 4


def test_the_worker_gives_the_known_answer_or_the_known_reason() -> None:
    for number in MANY:
        asked = question(number)
        if asked.is_good:
            value = answered(number).value
            assert value is not None
            assert json.loads(value)["answer"] == asked.answer
        else:
            with pytest.raises(Rejected) as rejected:
                answered(number)
            assert {rejected.value.reason.value} == asked.reasons


def test_only_large_answers_exceed_the_small_limit() -> None:
    for number in MANY:
        asked = question(number)
        if asked.is_good:
            assert (answered(number).size > SMALL_LIMIT) == bool(asked.reasons)
            assert answered(number).size < SMALL_LIMIT or answered(number).size > LARGE_BYTES
