"""How errors are classified and formatted."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from aiokafka import errors as kafka

from worker.kafka.error_codes import (
    FencedInstanceId,
    GroupMaxSizeReached,
    InvalidRecord,
    UnstableOffsetCommit,
)
from worker.kafka.errors import (
    FATAL,
    RETRY,
    Recovery,
    StreamingError,
    error_type,
    format_error,
    recovery_for,
)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (kafka.MessageSizeTooLargeError(), "MESSAGE_TOO_LARGE"),
        (kafka.NotEnoughReplicasError(), "NOT_ENOUGH_REPLICAS"),
        (InvalidRecord("no key"), "INVALID_RECORD"),
        (kafka.UnknownError(), "UNKNOWN_SERVER_ERROR"),
        # Not an answer of a broker.
        (kafka.KafkaConnectionError("gone"), "KafkaConnectionError"),
        (kafka.ProducerFenced("newer"), "ProducerFenced"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_type_of_an_error_is_the_protocols_name_or_the_class(
    error: BaseException, name: str
) -> None:
    assert error_type(error) == name


REVIEWED = Path(__file__).with_name("reviewed_errors.txt")


def test_every_error_class_of_aiokafka_is_reviewed() -> None:
    """A class that an upgrade adds, or whose `retriable` it changes, fails here: review it, then
    correct the file (one line a class) or the lists in errors.py.
    """
    classes: list[Any] = [
        kind
        for _, kind in inspect.getmembers(kafka, inspect.isclass)
        if issubclass(kind, kafka.KafkaError) and kind is not kafka.NoError
    ]
    found = sorted({f"{kind.__name__} {recovery_for(kind()).value}" for kind in classes})
    assert found == REVIEWED.read_text().splitlines()


def test_listed_additions_are_needed() -> None:
    assert [kind.__name__ for kind in RETRY if getattr(kind, "retriable", False)] == []
    assert not {*RETRY} & {*FATAL}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StreamingError("enough"), Recovery.FATAL),
        (UnstableOffsetCommit(), Recovery.RETRY),
        (OSError("gone"), Recovery.RESET),
        (TimeoutError(), Recovery.RESET),
    ],
)
def test_recovery_for_other_errors(error: Exception, expected: Recovery) -> None:
    assert recovery_for(error) is expected


@pytest.mark.parametrize("error", [kafka.TopicAuthorizationFailedError("t"), StreamingError("no")])
def test_a_fatal_cause_is_fatal(error: Exception) -> None:
    # aiokafka wraps an error of its coordination task.
    wrapped = kafka.KafkaError("unexpected")
    wrapped.__cause__ = error
    assert recovery_for(wrapped) is Recovery.FATAL
    assert recovery_for(kafka.KafkaError("unexpected")) is Recovery.RESET


def test_error_codes_that_aiokafka_does_not_know() -> None:
    assert kafka.for_code(47) is kafka.InvalidProducerEpoch
    assert kafka.for_code(90) is kafka.ProducerFenced
    named = {81: GroupMaxSizeReached, 87: InvalidRecord, 88: UnstableOffsetCommit}
    assert {code: kafka.for_code(code) for code in named} == named
    names = ["GROUP_MAX_SIZE_REACHED", "INVALID_RECORD", "UNSTABLE_OFFSET_COMMIT"]
    assert [kind.message for kind in named.values()] == names
    assert format_error(InvalidRecord("a")) == "[Error 87] InvalidRecord: a"
    # A code newer than Kafka 4.4 keeps its number. It resets, it does not stop the worker.
    newest = kafka.for_code(200)("no")
    assert "[Error 200]" in format_error(newest)
    assert recovery_for(newest) is Recovery.RESET


@pytest.mark.parametrize(
    ("error", "setting", "property_"),
    [
        (kafka.InvalidTransactionTimeout(), "TRANSACTION_TIMEOUT_MS", "transaction.max.timeout.ms"),
        (kafka.InvalidSessionTimeoutError(), "SESSION_TIMEOUT_MS", "group.min.session.timeout.ms"),
        (kafka.InconsistentGroupProtocolError(), "PARTITION_ASSIGNMENT_STRATEGY", ""),
        (GroupMaxSizeReached(), "", "group.max.size"),
        # As aiokafka wraps it.
        (kafka.KafkaError(repr(GroupMaxSizeReached())), "", "group.max.size"),
        (
            kafka.KafkaError(f"Unexpected exception in heartbeat task: {FencedInstanceId()!r}"),
            "GROUP_INSTANCE_ID",
            "",
        ),
    ],
)
def test_a_rejected_setting_is_named_and_fatal(
    error: Exception, setting: str, property_: str
) -> None:
    message = format_error(error)
    assert f"KAFKA_{setting}" in message or not setting
    assert property_ in message
    again = StreamingError(message)
    again.__cause__ = error
    assert format_error(again) == message
    assert recovery_for(error) is Recovery.FATAL


def test_format_error_is_one_line_with_the_class_of_a_kafka_error() -> None:
    assert format_error(kafka.KafkaConnectionError("a\n  b")) == "KafkaConnectionError: a b"
    assert format_error(StreamingError("as it is")) == "as it is"
    assert format_error(TimeoutError()) == "TimeoutError"
