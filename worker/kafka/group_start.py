"""Finds out where a group starts: before the process joins it for the first time.

Before, not after: members that start together all find the group without offsets, while a member
that looked later would find what the first one has committed, and take the rest of the topic's
partitions for new ones.
"""

from collections.abc import Sequence

import structlog
from aiokafka import TopicPartition

from worker.kafka._aiokafka import send_to_any_broker
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.deadline import deadline
from worker.kafka.metadata_request import TopicMetadataRequest
from worker.kafka.start_offsets import GroupStart
from worker.kafka.topic_ids import DELETED, TopicIds, read_topic_ids
from worker.kafka.topic_reader import OffsetRange, TopicReader
from worker.kafka.topics import admin_client, topic_names
from worker.kafka.transactions import fetch_committed_offsets
from worker.settings import KafkaSettings, Settings

log = structlog.get_logger(__name__)


async def find_group_start(settings: Settings) -> GroupStart:
    """Raises `KafkaError`, `StreamingError`, `TimeoutError`."""
    kafka = settings.kafka
    ids = await _find_topic_ids(settings)
    client = BrokerClient(client_for_transactions(kafka))
    try:
        seconds = kafka.request_timeout_ms / 1000
        async with deadline(seconds, "offsets from the group coordinator"):
            await client.start()
            new = {
                topic: numbers
                for topic in settings.qa.question_topics
                if (numbers := await _partitions_without_offsets(client, kafka, topic))
            }
    finally:
        await client.stop()
    first_offsets: dict[TopicPartition, int] = {}
    for topic, numbers in new.items():
        ranges = await _ranges(settings, topic, len(numbers))
        _report(settings, topic, ranges)
        if kafka.auto_offset_reset == "latest":
            first_offsets |= {each.partition: each.end for each in ranges}
    return GroupStart(ids, first_offsets, 0 < len(new) < len(settings.qa.question_topics))


async def _partitions_without_offsets(
    client: BrokerClient, kafka: KafkaSettings, topic: str
) -> Sequence[int]:
    """The topic's partitions, or none of them if the group has an offset of one."""
    numbers = await client.partitions(topic)
    # Offsets of open transactions need no waiting: the first transaction of a new group.
    committed = await fetch_committed_offsets(
        client,
        kafka.group_id,
        [TopicPartition(topic, number) for number in numbers],
        require_stable=False,
    )
    return () if committed else tuple(numbers)


async def _find_topic_ids(settings: Settings) -> TopicIds:
    names = topic_names(settings)
    async with admin_client(settings.kafka) as admin:
        try:
            metadata = await send_to_any_broker(admin, TopicMetadataRequest(names))
        except NotImplementedError:
            return TopicIds("", {})  # brokers older than Kafka 2.8
    ids = read_topic_ids(metadata)
    known = {name: ids[name] for name in names if ids.get(name, DELETED) != DELETED}
    return TopicIds(metadata.cluster_id or "", known)


async def _ranges(settings: Settings, topic: str, partitions: int) -> list[OffsetRange]:
    async with TopicReader.open(settings) as reader:
        return await reader.ranges(
            topic,
            partitions,
            with_open_transactions=settings.kafka.isolation_level == "read_uncommitted",
        )


def _report(settings: Settings, topic: str, ranges: Sequence[OffsetRange]) -> None:
    """Say what a group without offsets of a topic means: it is new, or its offsets have expired."""
    if records := sum(each.length for each in ranges):
        reset = settings.kafka.auto_offset_reset
        log.warning(
            "group_without_offsets",
            group=settings.kafka.group_id,
            topic=topic,
            reset=reset,
            records=records,
            what="skipped" if reset == "latest" else "read from the oldest on",
        )
