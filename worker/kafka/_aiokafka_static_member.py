"""Static membership (KIP-345), completed by means of aiokafka's private members (0.14).

aiokafka's `group_instance_id` joins as a static member and sends no LeaveGroup. It lacks three
things, which this module adds. One of the three modules that may use private members (see
`_aiokafka.py`), and a reason for the upper bound of aiokafka in pyproject.toml.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest

from worker.kafka.static_member_requests import StaticHeartbeatRequest, StaticOffsetCommitRequest


def name_static_member(consumer: AIOKafkaConsumer, instance_id: str) -> None:
    """Send the instance id with heartbeats and commits, so that the coordinator answers
    FENCED_INSTANCE_ID once another process has joined under it.

    aiokafka is told UNKNOWN_MEMBER_ID instead and joins again under the same id, which fences the
    other process, and so on without end.
    No upstream issue found. Remove when aiokafka's HeartbeatRequest has a version 3.
    """
    client = consumer._client
    send = client.send

    async def named_send(node_id: int, request: Any, **options: Any) -> Any:
        if type(request) is HeartbeatRequest:
            member = request._group, request._generation_id, request._member_id
            request = StaticHeartbeatRequest(*member, instance_id)
        elif type(request) is OffsetCommitRequest:
            member = (
                request._consumer_group,
                request._consumer_group_generation_id,
                request._consumer_id,
            )
            request = StaticOffsetCommitRequest(*member, instance_id, request._topics)
        return await send(node_id, request, **options)

    client.send = named_send


def watch_partition_counts(consumer: AIOKafkaConsumer) -> None:
    """Rejoin the group when partitions are added to its topics, as the group's leader does.

    Call it after each assignment. A leader that returns as a static member is not told that it
    still is the leader, so that no member would notice (KAFKA-13435). The coordinator rebalances
    when the leader rejoins, and gives every other member its present assignment again.
    Upstream: https://issues.apache.org/jira/browse/KAFKA-13435 (KIP-814, JoinGroup v9).
    Remove when aiokafka has JoinGroup v9 and its `skip_assignment`.
    """
    coordinator = consumer._coordinator
    if coordinator._group_subscription is None:  # this member has not assigned the partitions
        coordinator._group_subscription = set(consumer.subscription())
        coordinator._metadata_snapshot = coordinator._get_metadata_snapshot()


def rejoin_for_new_topic(consumer: AIOKafkaConsumer) -> None:
    """Rejoin the group once more, so that a topic which was added to its topics is assigned.

    The coordinator gives a static member that returns its present assignment, whatever it
    subscribes to now (KIP-345); it rebalances when the group's leader rejoins. So the topic is read
    once that member has returned with it. Remove with `watch_partition_counts`.
    """
    consumer._coordinator.request_rejoin()
