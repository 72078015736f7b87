"""Heartbeat v3 and OffsetCommit v7 with the member's `group.instance.id` (KIP-345), which aiokafka
0.14 sends with JoinGroup and SyncGroup only.

Without it the coordinator answers a member whose id another process has taken with
UNKNOWN_MEMBER_ID, as after a session timeout, and with FENCED_INSTANCE_ID with it.
No upstream issue found; remove when aiokafka's own requests have the field.
"""

from collections.abc import Sequence
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest_v3, OffsetCommitResponse_v3
from aiokafka.protocol.group import HeartbeatRequest_v1, HeartbeatResponse_v1
from aiokafka.protocol.types import Array, Int32, Int64, Schema, String


class HeartbeatResponse_v3(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = HeartbeatResponse_v1.SCHEMA


class HeartbeatRequest_v3(RequestStruct):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponse_v3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class StaticHeartbeatRequest(Request[HeartbeatRequest_v1 | HeartbeatRequest_v3]):  # type: ignore[misc]
    """A member's heartbeat; without its instance id to a broker that has no static members."""

    API_KEY = 12

    def __init__(self, group: str, generation: int, member_id: str, instance_id: str) -> None:
        self._fields = group, generation, member_id, instance_id

    def build(
        self, request_struct_class: type[HeartbeatRequest_v1 | HeartbeatRequest_v3]
    ) -> HeartbeatRequest_v1 | HeartbeatRequest_v3:
        named = request_struct_class is HeartbeatRequest_v3
        return request_struct_class(*(self._fields if named else self._fields[:3]))


class OffsetCommitResponse_v7(Response):  # type: ignore[misc]
    API_KEY = 8
    API_VERSION = 7
    SCHEMA = OffsetCommitResponse_v3.SCHEMA


class OffsetCommitRequest_v7(RequestStruct):  # type: ignore[misc]
    API_KEY = 8
    API_VERSION = 7
    RESPONSE_TYPE = OffsetCommitResponse_v7
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", String("utf-8")),
                    ),
                ),
            ),
        ),
    )


class StaticOffsetCommitRequest(Request[OffsetCommitRequest_v3 | OffsetCommitRequest_v7]):  # type: ignore[misc]
    """A member's commit; without its instance id to a broker that has no static members."""

    API_KEY = 8

    def __init__(
        self,
        group: str,
        generation: int,
        member_id: str,
        instance_id: str,
        topics: Sequence[tuple[str, Sequence[tuple[int, int, str]]]],
    ) -> None:
        """`topics` has, for each topic, (partition, offset, metadata)."""
        self._member = group, generation, member_id
        self._instance_id = instance_id
        self._topics = topics

    def build(
        self, request_struct_class: type[OffsetCommitRequest_v3 | OffsetCommitRequest_v7]
    ) -> OffsetCommitRequest_v3 | OffsetCommitRequest_v7:
        if request_struct_class is OffsetCommitRequest_v3:
            return request_struct_class(*self._member, _BROKERS_RETENTION, self._topics)
        topics: list[tuple[str, list[tuple[Any, ...]]]] = [
            (topic, [(partition, offset, -1, metadata) for partition, offset, metadata in offsets])
            for topic, offsets in self._topics
        ]
        return request_struct_class(*self._member, self._instance_id, topics)


_BROKERS_RETENTION = -1
"""The brokers' `offsets.retention.minutes` applies."""
