"""The mix of questions; the worker produces the expected outcome of each."""

import json
from collections import Counter

import pytest

from schemas.question import Question as Event
from schemas.rejection import Rejected
from tests.faults.questions import (
    LARGE_BYTES,
    SMALL_LIMIT,
    answer_with_id,
    asked_first,
    question,
)
from tests.streaming.stub_engine import answer_to
from worker.kafka.records import InputRecord, OutputRecord
from worker.streaming.codec import decode_record, encode_outcome_record

pytestmark = pytest.mark.long

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


def test_a_share_of_the_questions_repeats_an_earlier_one() -> None:
    valid = [number for number in MANY if question(number).is_valid]
    repeats = {number: asked_first(number) for number in valid if asked_first(number) != number}
    assert 0.2 < len(repeats) / len(valid) < 0.35
    for number, first in list(repeats.items())[:100]:
        event, earlier = (json.loads(question(n).value or b"") for n in (number, first))
        assert first < number
        assert event["id"] != earlier["id"]
        assert (event["question"], event["context"]) == (earlier["question"], earlier["context"])


def test_worker_gives_the_expected_answer_or_reason() -> None:
    for number in MANY:
        expected = question(number)
        if expected.is_valid:
            value = answered(number).value
            assert value is not None
            answer = json.loads(value)
            assert answer_with_id(answer["id"], answer["answer"]) == expected.answer
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
