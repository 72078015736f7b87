"""Notices that a topic was deleted, or deleted and created again, by its id (KIP-516). Pure.

Clients address topics by name. A topic that was created again has the name of the deleted one, and
the group's offsets of the deleted one would skip its first records without a word. The worker
therefore remembers the ids of its topics, and commits the id of the questions topic as the metadata
of each offset: the next worker also notices what happened while no worker ran.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.structs import OffsetAndMetadata

from worker.kafka.errors import StreamingError

CONFIRMATIONS = 2
"""Responses in a row that have to agree: metadata reaches the brokers one after the other."""

DELETED = ""
"""In place of the id of a topic that does not exist."""

NEW_OFFSETS = (
    "stop all workers, set the group's offsets to where reading is to start "
    "(kafka-consumer-groups --reset-offsets), start the workers"
)


def read_topic_ids(response: Any) -> dict[str, str]:
    """Topic to its id in a response to `TopicMetadataRequest`, as Kafka's tools print it; `DELETED`
    if the topic does not exist. Without topics whose id the broker does not tell.
    """
    ids = {}
    for code, name, upper, lower, *_ in response.topics:
        if code == UnknownTopicOrPartitionError.errno:
            ids[name] = DELETED
        elif upper or lower:
            number = (upper << 64) + (lower & (1 << 64) - 1)
            raw = number.to_bytes(16, "big", signed=True)
            ids[name] = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return ids


@dataclass(slots=True)
class TopicIds:
    """The topics that this process began with."""

    cluster: str
    """The cluster's id: offsets that a mirror copied carry the ids of another cluster's topics."""
    ids: Mapping[str, str]
    """Topic to its id."""
    _differing: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Topic to the other id that was found last, and how many times in a row."""

    def check(self, found: Mapping[str, str]) -> None:
        """Raises `StreamingError` once `found` repeatedly has no or another id for a topic."""
        for name, now in found.items():
            known = self.ids.get(name)
            if known is None or now == known:
                self._differing.pop(name, None)
                continue
            last, times = self._differing.get(name, (now, 0))
            times = times + 1 if last == now else 1
            self._differing[name] = now, times
            if times >= CONFIRMATIONS:
                raise StreamingError(_describe(name, known, now))

    def offset_metadata(self, topic: str) -> str:
        """What is committed beside an offset of the topic; empty if its id is not known."""
        return f"{self.cluster}/{self.ids[topic]}" if topic in self.ids else ""

    def check_committed(self, partition: TopicPartition, committed: OffsetAndMetadata) -> None:
        """Raises `StreamingError` if the offset was committed for a deleted topic of that name."""
        cluster, _, topic_id = committed.metadata.rpartition("/")
        known = self.ids.get(partition.topic)
        if cluster == self.cluster and known not in (None, topic_id):
            raise StreamingError(
                f"the group's offset {committed.offset} of {partition.topic} partition "
                f"{partition.partition} belongs to a deleted topic of that name (id {topic_id}, "
                f"now {known}): {NEW_OFFSETS}"
            )


def _describe(name: str, known: str, now: str) -> str:
    if now == DELETED:
        return (
            f"topic {name} was deleted while the worker ran: create it (`qa-worker topics create`)"
        )
    return (
        f"topic {name} was deleted and created again while the worker ran (id {known}, now {now}); "
        f"if it is the questions topic: {NEW_OFFSETS}"
    )
