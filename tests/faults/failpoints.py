"""Failpoints: named steps at which a worker kills or suspends itself, or loses its session.

Each point lies before or after a function of the worker or of aiokafka. This module names the
functions and wraps them at the start of the process; the worker's code contains no failpoints.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.errors import KafkaError

from tests.faults.patching import wrap

FAILPOINT = "FAULTS_FAILPOINT"
"""`name:n:signal`: the worker sends itself SIGKILL or SIGSTOP at the n-th passage of the point."""

UNOPENABLE = "FAULTS_UNOPENABLE"
"""`n:k`: the n-th delivery fails and ends the session, and the next k sessions fail to open."""


@dataclass(frozen=True, slots=True)
class Point:
    """Before or after calls of any of `targets`, each `module:Class.function`."""

    when: Literal["before", "after"]
    targets: tuple[str, ...]
    passages: int
    """Approximate passages per second under the suite's traffic."""
    request: str = ""
    """If set, only calls with a request of this class count."""


_SUBMIT = ("tests.faults.stub:Stub.submit", "worker.inference.engine:InferenceEngine.submit")
_CONSUMER_COMMIT = ("worker.kafka._aiokafka_records:RecordConsumer.commit",)

_AT_LEAST_ONCE = {
    # The engine has the record.
    "batch": Point("after", _SUBMIT, 40),
    # No request with these answers was sent.
    "publishing": Point("before", ("worker.kafka.producer:IdempotentProducer.publish",), 30),
    "produce_sent": Point(
        "after", ("aiokafka.conn:AIOKafkaConnection.send",), 30, "ProduceRequest"
    ),
    # Answers are acknowledged, their offsets are not committed.
    "acknowledged": Point("before", _CONSUMER_COMMIT, 8),
    "committed": Point("after", _CONSUMER_COMMIT, 8),
}


def _step(when: Literal["before", "after"], function: str, passages: int) -> Point:
    return Point(when, (f"worker.kafka.transactions:TransactionalProducer.{function}",), passages)


def _sent(request: str, passages: int) -> Point:
    """After the request was sent."""
    return Point("after", ("aiokafka.conn:AIOKafkaConnection.send",), passages, request)


def _answered(request: str, passages: int) -> Point:
    """After the response arrived, before the worker handles it."""
    return Point("after", ("aiokafka.client:AIOKafkaClient.send",), passages, request)


_EXACTLY_ONCE = {
    "batch": Point("after", _SUBMIT, 40),
    "fence_sent": _sent("InitProducerIdRequest", 1),
    # The previous owner is fenced; the committed offset is not read yet.
    "fenced": _step("after", "init_transactions", 1),
    # The batch is complete, and no request of the transaction was sent.
    "beginning": _step("before", "commit", 15),
    "partitions_sent": _sent("AddPartitionsToTxnRequest", 15),
    "partitions_added": _step("after", "_add_partitions", 15),
    "produce_sent": _sent("ProduceRequest", 30),
    "produced": _step("after", "_produce", 30),
    "offsets_added": _answered("AddOffsetsToTxnRequest", 15),
    "offsets_sent": _sent("TxnOffsetCommitRequest", 15),
    "offsets_committed": _step("after", "_commit_offsets", 15),
    # Everything but EndTxn was sent.
    "ending": _step("before", "_end", 15),
    "end_sent": _sent("EndTxnRequest", 15),
    "end_answered": _answered("EndTxnRequest", 15),
    "ended": _step("after", "_end", 15),
}

POINTS = {"at_least_once": _AT_LEAST_ONCE, "exactly_once": _EXACTLY_ONCE}
"""Delivery mode to its failpoints."""


def arm(delivery: str) -> None:
    """Install the failpoints that the environment names. Raises `KeyError` for an unknown point."""
    if FAILPOINT in os.environ:
        name, number, sent = os.environ[FAILPOINT].split(":")
        point = POINTS[delivery][name]
        count = _at_passage(int(number), point.request, signal.Signals[sent])
        for target in point.targets:
            if point.when == "before":
                wrap(target, before=count)
            else:
                wrap(target, after=count)
    if UNOPENABLE in os.environ:
        deliveries, _, failures = os.environ[UNOPENABLE].partition(":")
        _break_the_session(int(deliveries), int(failures))


def _at_passage(number: int, request: str, sent: signal.Signals) -> Callable[..., None]:
    passed = 0

    def count(*args: Any, **_: Any) -> None:
        nonlocal passed
        if request and request not in (type(arg).__name__ for arg in args):
            return
        passed += 1
        if passed == number:
            os.kill(os.getpid(), sent)

    return count


DELIVER = (
    "worker.streaming.delivery.at_least_once:AtLeastOncePartition.deliver",
    "worker.streaming.delivery.exactly_once:ExactlyOncePartition.deliver",
)
OPEN = "worker.streaming.session:KafkaSession.open"


def _break_the_session(deliveries: int, failures: int) -> None:
    """Deliveries fail from the n-th on, until the worker opens a new session."""
    delivered = left = 0

    def deliver(*_: Any, **__: Any) -> None:
        nonlocal delivered
        delivered += 1
        if deliveries <= delivered < _BROKEN_FOR_GOOD:
            raise KafkaError("broken by the fault suite")

    def open_again(*_: Any, **__: Any) -> None:
        nonlocal delivered, left
        if deliveries <= delivered < _BROKEN_FOR_GOOD:
            delivered, left = _BROKEN_FOR_GOOD, failures
        if left:
            left -= 1
            raise KafkaError("prevented from opening by the fault suite")

    for target in DELIVER:
        wrap(target, before=deliver)
    wrap(OPEN, before=open_again)


_BROKEN_FOR_GOOD = 1_000_000
"""More than the deliveries of a run. The count continues from here after the failure."""
