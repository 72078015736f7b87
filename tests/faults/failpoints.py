"""Where a worker can be made to kill itself, or to lose its session: one table, by name.

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
"""`name:n`: SIGKILL at the n-th passage of that point."""

UNOPENABLE = "FAULTS_UNOPENABLE"
"""`n:k`: the session breaks at the n-th answer, and its next k reopenings fail."""


@dataclass(frozen=True, slots=True)
class Point:
    """A passage: `when` the calls of these functions, `module:Class.function`, taken together."""

    when: Literal["before", "after"]
    targets: tuple[str, ...]
    passages: int
    """About how many a worker makes in a second under the suite's traffic."""


_CONSUMER_COMMIT = ("worker.streaming.intake:AIOKafkaConsumer.commit",)

_ANY_DELIVERY = {
    # A record was given to the reader.
    "batch": Point(
        "after", ("tests.faults.stub:Stub.submit", "worker.reading.reader:Reader.submit"), 40
    ),
    # An answer is in the producer's buffer.
    "send": Point("after", ("worker.streaming.outbox:Outbox.send",), 40),
}

_AT_LEAST_ONCE = {
    # Answers are acknowledged, their offsets not committed.
    "acknowledged": Point("before", _CONSUMER_COMMIT, 8),
    "committed": Point("after", _CONSUMER_COMMIT, 8),
}


def _handler(request: str, function: str = "handle_response") -> tuple[str, ...]:
    """The client library's handler of a request of the transactional producer."""
    return (f"aiokafka.producer.sender:{request}Handler.{function}",)


# The steps of a transaction. Before its handling, a response was sent and is not seen; after it,
# the step is done.
_EXACTLY_ONCE = {
    # The producer that had the partition before is fenced; nothing is fetched yet.
    "fenced": Point("after", _handler("InitPID"), 1),
    "partitions_added": Point("after", _handler("AddPartitionsToTxn"), 8),
    "produced": Point("after", _handler("SendProduceReq"), 8),
    "offsets_added": Point("after", _handler("AddOffsetsToTxn"), 8),
    "offsets_committed": Point("after", _handler("TxnOffsetCommit"), 8),
    "ending": Point("before", _handler("EndTxn", "create_request"), 8),
    "end_sent": Point("before", _handler("EndTxn"), 8),
    "ended": Point("after", _handler("EndTxn"), 8),
}

POINTS = {
    "at_least_once": _ANY_DELIVERY | _AT_LEAST_ONCE,
    "exactly_once": _ANY_DELIVERY | _EXACTLY_ONCE,
}
"""Delivery to its points."""


def arm(delivery: str) -> None:
    """Set up what this process's environment asks for. Raises `KeyError` for an unknown point."""
    if FAILPOINT in os.environ:
        name, _, number = os.environ[FAILPOINT].partition(":")
        point = POINTS[delivery][name]
        kill = _at_passage(int(number), _kill_this_process)
        for target in point.targets:
            if point.when == "before":
                wrap(target, before=kill)
            else:
                wrap(target, after=kill)
    if UNOPENABLE in os.environ:
        answers, _, failures = os.environ[UNOPENABLE].partition(":")
        _break_the_session(int(answers), int(failures))


def _at_passage(number: int, effect: Callable[[], None]) -> Callable[..., None]:
    passed = 0

    def count(*_: Any, **__: Any) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            effect()

    return count


def _kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _break_the_session(answers: int, failures: int) -> None:
    left = 0

    def break_it() -> None:
        nonlocal left
        left = failures
        raise KafkaError("broken by the fault suite")

    def refuse(*_: Any, **__: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            raise KafkaError("kept from opening by the fault suite")

    wrap("worker.streaming.outbox:Outbox.send", before=_at_passage(answers, break_it))
    wrap("worker.streaming.session:Session.open", before=refuse)
