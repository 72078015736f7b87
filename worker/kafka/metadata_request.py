"""Requests for the metadata of named topics that create none of them.

Metadata v10, which aiokafka 0.14 does not have, is written as its own requests are: topics with
authorized operations (KIP-430) and ids (KIP-516), from Kafka 2.8 on. No upstream issue found;
remove when aiokafka has it.
"""

from collections.abc import Iterable

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
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

_NO_TAGS: dict[int, bytes] = {}

_WITHOUT_CREATION = 4
"""The first version that can ask for a topic by name without creating it, from Kafka 0.11 on."""


class NamedTopicsRequest(MetadataRequest):  # type: ignore[misc]
    """Topics that may not exist. Older brokers than 0.11 answer with all of their topics."""

    def __init__(self, topics: Iterable[str]) -> None:
        super().__init__(list(topics), allow_auto_topic_creation=False)

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        if request_struct_class.API_VERSION < _WITHOUT_CREATION:
            return MetadataRequest().build(request_struct_class)
        return super().build(request_struct_class)


class MetadataResponse_v10(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                # aiokafka has no type for a UUID: its upper and lower 64 bits.
                ("id_upper", Int64),
                ("id_lower", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequest_v10(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataResponse_v10
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("id_upper", Int64),
                ("id_lower", Int64),
                ("topic", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicMetadataRequest(Request[MetadataRequest_v10]):  # type: ignore[misc]
    """Topics, each with its id and with a bit field of the operations that the principal may
    perform on it. Never creates a topic.
    """

    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[MetadataRequest_v10]) -> MetadataRequest_v10:
        topics = [(0, 0, name, _NO_TAGS) for name in self._topics]
        return request_struct_class(topics, False, False, True, _NO_TAGS)
