"""Every error of the client has its verdict, and the verdict says what it should."""

import inspect
from typing import Any

import pytest
from aiokafka import errors as kafka

from worker.kafka.errors import (
    _FATAL,
    _RESET,
    _RETRY,
    RECOVERY,
    Recovery,
    StreamingError,
    UnstableOffsetCommit,
    error_for_code,
    format_error,
    recovery_for,
)

ALL: list[Any] = [
    kind
    for _, kind in inspect.getmembers(kafka, inspect.isclass)
    if issubclass(kind, kafka.KafkaError) and kind is not kafka.NoError
]


def test_every_error_that_aiokafka_can_name_is_in_the_table_once() -> None:
    assert [kind.__name__ for kind in ALL if kind not in RECOVERY] == []
    # Some classes have two names there.
    assert len(RECOVERY) == len({*_RETRY}) + len({*_RESET}) + len({*_FATAL})


def test_what_aiokafka_calls_retriable_is_asked_again() -> None:
    retriable = [kind for kind in ALL if getattr(kind, "retriable", False)]
    assert len(retriable) > 15
    assert [kind.__name__ for kind in retriable if RECOVERY[kind] is not Recovery.RETRY] == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (kafka.TopicAuthorizationFailedError("qa.questions"), Recovery.FATAL),
        (kafka.TransactionalIdAuthorizationFailed(), Recovery.FATAL),
        (kafka.AuthenticationFailedError("no"), Recovery.FATAL),
        (kafka.UnsupportedVersionError(), Recovery.FATAL),
        (StreamingError("enough"), Recovery.FATAL),
        (kafka.KafkaConnectionError("gone"), Recovery.RETRY),
        (kafka.NotCoordinatorError(), Recovery.RETRY),
        (UnstableOffsetCommit(), Recovery.RETRY),
        (kafka.OutOfOrderSequenceNumber(), Recovery.RESET),
        (kafka.InvalidProducerEpoch(), Recovery.RESET),
        (kafka.ProducerFenced(), Recovery.RESET),
        (kafka.InvalidTxnState(), Recovery.RESET),
        (kafka.UnknownError(), Recovery.RESET),
        (kafka.MessageSizeTooLargeError(), Recovery.RESET),
        (OSError("gone"), Recovery.RESET),
        (TimeoutError(), Recovery.RESET),
    ],
)
def test_verdicts(error: Exception, expected: Recovery) -> None:
    assert recovery_for(error) is expected


@pytest.mark.parametrize("error", [kafka.TopicAuthorizationFailedError("t"), StreamingError("no")])
def test_what_stops_the_worker_does_so_wrapped_too(error: Exception) -> None:
    # aiokafka wraps what breaks its coordination.
    wrapped = kafka.KafkaError("unexpected")
    wrapped.__cause__ = error
    assert recovery_for(wrapped) is Recovery.FATAL
    assert recovery_for(kafka.KafkaError("unexpected")) is Recovery.RESET


def test_codes_become_errors_those_that_aiokafka_does_not_know_included() -> None:
    assert error_for_code(88) is UnstableOffsetCommit
    assert error_for_code(47) is kafka.InvalidProducerEpoch
    # Kafka's newest have no class here; their state is in doubt, not their rights.
    assert RECOVERY[error_for_code(120)] is Recovery.RESET


def test_an_error_is_one_line_with_the_name_of_kafkas_own() -> None:
    assert format_error(kafka.KafkaConnectionError("a\n  b")) == "KafkaConnectionError: a b"
    assert format_error(StreamingError("as it is")) == "as it is"
    assert format_error(TimeoutError()) == "TimeoutError"
