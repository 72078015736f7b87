"""A topic that is not the worker's own, as the brokers' responses describe it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import (
    InvalidTopicError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from worker.kafka.acl import Operation, is_missing
from worker.kafka.topics import CLEANUP_POLICY, DEFAULT_MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES

MIN_INSYNC_REPLICAS = "min.insync.replicas"

CONFIGS = (MAX_MESSAGE_BYTES, CLEANUP_POLICY, MIN_INSYNC_REPLICAS)
"""The properties of a topic that `describe` looks at."""

_WORDS = {
    UnknownTopicOrPartitionError.errno: "it does not exist",
    InvalidTopicError.errno: "its name is not valid",
    TopicAuthorizationFailedError.errno: "the worker has no right to write to it",
}


@dataclass(frozen=True, slots=True)
class ForeignTopic:
    """A topic as the brokers describe it."""

    name: str
    problem: str = ""
    """Why it cannot be written to; empty if it can."""
    leaders: Sequence[int] = ()
    """By partition the broker that leads it, -1 for none, also with too few in-sync replicas."""
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    """Kafka's default without DESCRIBE_CONFIGS on the topic."""
    compacted: bool = False

    def problem_with(self, partition: int | None) -> str:
        """Why the partition, or any if it is None, cannot be written to; empty if it can."""
        if self.problem:
            return f"topic {self.name}: {self.problem}"
        if partition is not None and partition >= len(self.leaders):
            last = len(self.leaders) - 1
            return f"topic {self.name} has no partition {partition}; its last is {last}"
        return ""


def problem_of(entry: Sequence[Any]) -> str:
    """Why a topic of a response to Metadata cannot be written to; empty if it can."""
    code, *_, internal, partitions, operations, _ = entry
    if code in _WORDS:
        return _WORDS[code]
    if internal:
        return "it is internal to Kafka"
    if is_missing(Operation.WRITE, operations):
        return _WORDS[TopicAuthorizationFailedError.errno]
    return "" if partitions else f"the brokers do not describe it (error code {code})"


def describe(entry: Sequence[Any], config: Mapping[str, str]) -> ForeignTopic:
    _, name, *_, partitions, _, _ = entry
    return ForeignTopic(
        name,
        leaders=tuple(_by_number(partitions, int(config.get(MIN_INSYNC_REPLICAS, 1)))),
        max_message_bytes=int(config.get(MAX_MESSAGE_BYTES, DEFAULT_MAX_MESSAGE_BYTES)),
        compacted="compact" in config.get(CLEANUP_POLICY, ""),
    )


def _by_number(partitions: Iterable[Sequence[Any]], least: int) -> list[int]:
    """The leaders in the order of the partitions' numbers, which begin at 0. A leader takes records
    if so many replicas are in sync, or all of them (KIP-966).
    """
    leaders = {
        number: leader if len(in_sync) >= min(least, len(replicas)) else -1
        for _, number, leader, _, replicas, in_sync, *_ in partitions
    }
    return [leaders.get(number, -1) for number in range(max(leaders) + 1)]
