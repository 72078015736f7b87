"""The mix of questions; the worker produces the expected outcome of each."""

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
    expected = question(number)
    return InputRecord("questions", 0, number, expected.key, expected.value, [])


def answered(number: int) -> OutputRecord:
    envelope = decode_record(Event, incoming(number), max_bytes=2**20)
    return encode_outcome_record(incoming(number), envelope, answer_to(envelope.event), "answers")


def test_number_determines_the_question() -> None:
    assert [question(n) for n in MANY[:100]] == [question(n) for n in MANY[:100]]


def test_mix_of_valid_invalid_and_large_questions() -> None:
    kinds = Counter(
        "bad" if not expected.is_valid else "large" if expected.reasons else "good"
        for expected in map(question, MANY)
    )
    assert kinds["good"] > 0.85 * len(MANY)
    assert kinds["bad"] > 100
    assert kinds["large"] > 50
    assert len({reason for n in MANY for reason in question(n).reasons}) == 4


def test_worker_gives_the_expected_answer_or_reason() -> None:
    for number in MANY:
        expected = question(number)
        if expected.is_valid:
            value = answered(number).value
            assert value is not None
            assert json.loads(value)["answer"] == expected.answer
        else:
            with pytest.raises(Rejected) as rejected:
                answered(number)
            assert {rejected.value.reason.value} == expected.reasons


def test_only_large_answers_exceed_the_small_limit() -> None:
    for number in MANY:
        expected = question(number)
        if expected.is_valid:
            assert (answered(number).size > SMALL_LIMIT) == bool(expected.reasons)
            assert answered(number).size < SMALL_LIMIT or answered(number).size > LARGE_BYTES
