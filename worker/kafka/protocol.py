"""Kafka requests that aiokafka 0.14 does not have, written as its own are.

- OffsetFetch v7 with `require_stable` (KIP-447), from Kafka 2.5 on: committed offsets that no open
  transaction can change any more.
- Metadata v8 with authorized operations (KIP-430), from Kafka 2.3 on.
- Produce v8, whose response names the records that the leader refuses (KIP-467), from Kafka 2.4 on:
  aiokafka has its fields, but does not send it.

No upstream issue found for any; remove each when aiokafka has it.
"""

from collections.abc import Sequence

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceRequest_v8
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)
from aiokafka.structs import TopicPartition


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


class StableOffsetFetchRequest(Request[OffsetFetchRequest_v7]):  # type: ignore[misc]  # aiokafka is untyped
    """The committed offset of one partition. The response's error is `UnstableOffsetCommit` while
    an open transaction holds an offset of the partition.
    """

    API_KEY = 9

    def __init__(self, group_id: str, partition: TopicPartition) -> None:
        self._group_id = group_id
        self._partition = partition

    def build(self, request_struct_class: type[OffsetFetchRequest_v7]) -> OffsetFetchRequest_v7:
        no_tags: dict[int, bytes] = {}
        topics = [(self._partition.topic, [self._partition.partition], no_tags)]
        return request_struct_class(self._group_id, topics, True, no_tags)


class MetadataResponse_v8(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class MetadataRequest_v8(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponse_v8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class AuthorizedOperationsRequest(Request[MetadataRequest_v8]):  # type: ignore[misc]
    """Topics, each with a bit field of the operations that the principal may perform on it."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[MetadataRequest_v8]) -> MetadataRequest_v8:
        return request_struct_class(self._topics, False, False, True)


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
