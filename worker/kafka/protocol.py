"""Kafka requests that aiokafka 0.14 does not have, written as its own are.

- OffsetFetch v7 with `require_stable` (KIP-447), from Kafka 2.5 on: committed offsets that no open
  transaction can change any more.
- TxnOffsetCommit v3 with member and generation of the group (KIP-447), from Kafka 2.5 on: the
  coordinator refuses it from a member that the group has removed.
- Produce v8, whose response names the records that the leader refuses (KIP-467), from Kafka 2.4 on:
  aiokafka has its fields, but does not send it.

No upstream issue found for any; remove each when aiokafka has it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest_v3
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceRequest_v8
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from aiokafka.structs import OffsetAndMetadata

_NO_TAGS: dict[int, bytes] = {}


class OffsetFetchResponse_v7(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class OffsetFetchRequest_v7(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = OffsetFetchResponse_v7
    SCHEMA = Schema(
        ("group_id", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class StableOffsetFetchRequest(Request[OffsetFetchRequest_v3 | OffsetFetchRequest_v7]):  # type: ignore[misc]  # aiokafka is untyped
    """The committed offsets of a topic's partitions. With `require_stable`, the response's error is
    `UnstableOffsetCommit` while an open transaction holds an offset of one of them; version 3, for
    brokers that do not have 7, ignores it.
    """

    API_KEY = 9

    def __init__(
        self, group_id: str, topic: str, partitions: Sequence[int], *, require_stable: bool = True
    ) -> None:
        self._group_id = group_id
        self._topic = topic
        self._partitions = list(partitions)
        self._require_stable = require_stable

    def build(
        self, request_struct_class: type[OffsetFetchRequest_v3 | OffsetFetchRequest_v7]
    ) -> OffsetFetchRequest_v3 | OffsetFetchRequest_v7:
        if request_struct_class is OffsetFetchRequest_v3:
            return OffsetFetchRequest_v3(self._group_id, [(self._topic, self._partitions)])
        topics = [(self._topic, self._partitions, _NO_TAGS)]
        return OffsetFetchRequest_v7(self._group_id, topics, self._require_stable, _NO_TAGS)


@dataclass(frozen=True, slots=True)
class FetchedOffset:
    """A partition's entry in the response to `StableOffsetFetchRequest`."""

    partition: int
    offset: int
    metadata: str
    error_code: int


def read_offsets(response: Any) -> list[FetchedOffset]:
    """The entries of all partitions, in either version."""
    entries = [entry for _, partitions, *_ in response.topics for entry in partitions]
    if response.API_VERSION >= OffsetFetchRequest_v7.API_VERSION:
        entries = [(number, offset, *after) for number, offset, _epoch, *after in entries]
    return [
        FetchedOffset(number, offset, metadata or "", code)
        for number, offset, metadata, code, *_ in entries
    ]


class TxnOffsetCommitResponse_v3(Response):  # type: ignore[misc]
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "errors",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partition_errors",
                    CompactArray(
                        ("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class TxnOffsetCommitRequest_v3(RequestStruct):  # type: ignore[misc]
    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TxnOffsetCommitResponse_v3
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("group_id", CompactString("utf-8")),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", CompactString("utf-8")),
        ("group_instance_id", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class TxnOffsetCommitRequest(Request[TxnOffsetCommitRequest_v3]):  # type: ignore[misc]
    """The group's offsets of a transaction. `member` is the generation and the member id; with -1
    and an empty string the coordinator does not check the membership.
    """

    API_KEY = 28

    def __init__(
        self,
        transactional_id: str,
        group_id: str,
        producer: tuple[int, int],
        member: tuple[int, str],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
    ) -> None:
        """`producer` is the producer id and epoch."""
        self._ids = transactional_id, group_id, *producer, *member
        self._offsets = offsets

    def build(
        self, request_struct_class: type[TxnOffsetCommitRequest_v3]
    ) -> TxnOffsetCommitRequest_v3:
        by_topic: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for partition, (offset, metadata) in self._offsets.items():
            entry = partition.partition, offset, -1, metadata, _NO_TAGS
            by_topic[partition.topic].append(entry)
        topics = [(topic, entries, _NO_TAGS) for topic, entries in by_topic.items()]
        return request_struct_class(*self._ids, None, topics, _NO_TAGS)


class ProduceRequest(Request[ProduceRequest_v7 | ProduceRequest_v8]):  # type: ignore[misc]
    """One batch for one partition, acknowledged by all in-sync replicas."""

    API_KEY = 0

    def __init__(
        self, transactional_id: str | None, timeout_ms: int, partition: TopicPartition, batch: bytes
    ) -> None:
        topics = [(partition.topic, [(partition.partition, batch)])]
        self._fields = (transactional_id, -1, timeout_ms, topics)

    def build(
        self, request_struct_class: type[ProduceRequest_v7 | ProduceRequest_v8]
    ) -> ProduceRequest_v7 | ProduceRequest_v8:
        return request_struct_class(*self._fields)
