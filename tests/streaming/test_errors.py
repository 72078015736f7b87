"""Every error of the client has its verdict, and the verdict says what it should."""

import inspect
from typing import Any

import pytest
from aiokafka import errors as kafka

from worker.streaming.errors import (
    _REBUILD,
    _RETRY,
    _STOP,
    TABLE,
    StreamingError,
    UnstableOffsetCommit,
    Verdict,
    for_code,
    in_a_line,
    verdict,
)

ALL: list[Any] = [
    kind
    for _, kind in inspect.getmembers(kafka, inspect.isclass)
    if issubclass(kind, kafka.KafkaError) and kind is not kafka.NoError
]


def test_every_error_that_aiokafka_can_name_is_in_the_table_once() -> None:
    assert [kind.__name__ for kind in ALL if kind not in TABLE] == []
    # Some classes have two names there.
    assert len(TABLE) == len({*_RETRY}) + len({*_REBUILD}) + len({*_STOP})


def test_what_aiokafka_calls_retriable_is_asked_again() -> None:
    retriable = [kind for kind in ALL if getattr(kind, "retriable", False)]
    assert len(retriable) > 15
    assert [kind.__name__ for kind in retriable if TABLE[kind] is not Verdict.RETRY] == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (kafka.TopicAuthorizationFailedError("qa.questions"), Verdict.STOP),
        (kafka.TransactionalIdAuthorizationFailed(), Verdict.STOP),
        (kafka.AuthenticationFailedError("no"), Verdict.STOP),
        (kafka.UnsupportedVersionError(), Verdict.STOP),
        (StreamingError("enough"), Verdict.STOP),
        (kafka.KafkaConnectionError("gone"), Verdict.RETRY),
        (kafka.NotCoordinatorError(), Verdict.RETRY),
        (UnstableOffsetCommit(), Verdict.RETRY),
        (kafka.OutOfOrderSequenceNumber(), Verdict.REBUILD),
        (kafka.InvalidProducerEpoch(), Verdict.REBUILD),
        (kafka.ProducerFenced(), Verdict.REBUILD),
        (kafka.InvalidTxnState(), Verdict.REBUILD),
        (kafka.UnknownError(), Verdict.REBUILD),
        (kafka.MessageSizeTooLargeError(), Verdict.REBUILD),
        (OSError("gone"), Verdict.REBUILD),
        (TimeoutError(), Verdict.REBUILD),
    ],
)
def test_verdicts(error: Exception, expected: Verdict) -> None:
    assert verdict(error) is expected


@pytest.mark.parametrize("error", [kafka.TopicAuthorizationFailedError("t"), StreamingError("no")])
def test_what_stops_the_worker_does_so_wrapped_too(error: Exception) -> None:
    # aiokafka wraps what breaks its coordination.
    wrapped = kafka.KafkaError("unexpected")
    wrapped.__cause__ = error
    assert verdict(wrapped) is Verdict.STOP
    assert verdict(kafka.KafkaError("unexpected")) is Verdict.REBUILD


def test_codes_become_errors_those_that_aiokafka_does_not_know_included() -> None:
    assert for_code(88) is UnstableOffsetCommit
    assert for_code(47) is kafka.InvalidProducerEpoch
    # Kafka's newest have no class here; their state is in doubt, not their rights.
    assert TABLE[for_code(120)] is Verdict.REBUILD


def test_an_error_is_one_line_with_the_name_of_kafkas_own() -> None:
    assert in_a_line(kafka.KafkaConnectionError("a\n  b")) == "KafkaConnectionError: a b"
    assert in_a_line(StreamingError("as it is")) == "as it is"
    assert in_a_line(TimeoutError()) == "TimeoutError"
