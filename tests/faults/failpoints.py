"""Where a worker can be made to kill or stop itself, or to lose its session: one table, by name.

The worker's code knows nothing of it: each point is before or after a function of the worker or
of its client library, named here and wrapped when the process starts.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.errors import KafkaError

from tests.faults.patching import wrap

FAILPOINT = "FAULTS_FAILPOINT"
"""`name:n:signal`: SIGKILL or SIGSTOP to itself at the n-th passage of that point."""

UNOPENABLE = "FAULTS_UNOPENABLE"
"""`n:k`: the session breaks at the n-th delivery, and its next k reopenings fail."""


@dataclass(frozen=True, slots=True)
class Point:
    """A passage: `when` the calls of these functions, `module:Class.function`, taken together."""

    when: Literal["before", "after"]
    targets: tuple[str, ...]
    passages: int
    """About how many a worker makes in a second under the suite's traffic."""
    request: str = ""
    """Only calls with a request of this class, where one is named."""


_READERS = ("tests.faults.stub:Stub.submit", "worker.inference.engine:InferenceEngine.submit")
_CONSUMER_COMMIT = ("worker.kafka.consumer:AIOKafkaConsumer.commit",)

_AT_LEAST_ONCE = {
    # A record was given to the reader.
    "batch": Point("after", _READERS, 40),
    # An answer is in the producer's buffer.
    "send": Point("after", ("worker.kafka.producer:IdempotentProducer.send",), 40),
    # Answers are acknowledged, their offsets not committed.
    "acknowledged": Point("before", _CONSUMER_COMMIT, 8),
    "committed": Point("after", _CONSUMER_COMMIT, 8),
}


def _step(when: Literal["before", "after"], function: str, passages: int) -> Point:
    return Point(when, (f"worker.kafka.transactions:TransactionalProducer.{function}",), passages)


def _sent(request: str, passages: int) -> Point:
    """It is on its way to the broker."""
    return Point("after", ("aiokafka.conn:AIOKafkaConnection.send",), passages, request)


def _answered(request: str, passages: int) -> Point:
    """Its answer has come, and nobody has looked at it."""
    return Point("after", ("aiokafka.client:AIOKafkaClient.send",), passages, request)


_EXACTLY_ONCE = {
    "batch": Point("after", _READERS, 40),
    "fence_sent": _sent("InitProducerIdRequest", 1),
    # The previous owner is fenced; the committed offset is not read yet.
    "fenced": _step("after", "init_transactions", 1),
    # What is to be committed is settled, and no broker knows of it.
    "beginning": _step("before", "commit", 15),
    "partitions_sent": _sent("AddPartitionsToTxnRequest", 15),
    "partitions_added": _step("after", "_add_partitions", 15),
    "produce_sent": _sent("ProduceRequest", 30),
    "produced": _step("after", "_produce", 30),
    "offsets_added": _answered("AddOffsetsToTxnRequest", 15),
    "offsets_sent": _sent("TxnOffsetCommitRequest", 15),
    "offsets_committed": _step("after", "_commit_offsets", 15),
    # All is in the transaction but its end.
    "ending": _step("before", "_end", 15),
    "end_sent": _sent("EndTxnRequest", 15),
    "end_answered": _answered("EndTxnRequest", 15),
    "ended": _step("after", "_end", 15),
}

POINTS = {"at_least_once": _AT_LEAST_ONCE, "exactly_once": _EXACTLY_ONCE}
"""Delivery to its points."""


def arm(delivery: str) -> None:
    """Set up what this process's environment asks for. Raises `KeyError` for an unknown point."""
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
    """From the n-th delivery on each fails, until the session is given up for it."""
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
            raise KafkaError("kept from opening by the fault suite")

    for target in DELIVER:
        wrap(target, before=deliver)
    wrap(OPEN, before=open_again)


_BROKEN_FOR_GOOD = 1_000_000
"""More deliveries than a worker makes in a run: those after the break count from here."""
