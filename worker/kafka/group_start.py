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
from worker.kafka.protocol import TopicMetadataRequest
from worker.kafka.start_offsets import GroupStart
from worker.kafka.topic_ids import DELETED, TopicIds, read_topic_ids
from worker.kafka.topic_reader import OffsetRange, TopicReader
from worker.kafka.topics import admin_client, topic_names
from worker.kafka.transactions import fetch_committed_offsets
from worker.settings import Settings

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
            questions = settings.qa.questions_topic
            numbers = await client.partitions(questions)
            partitions = [TopicPartition(questions, number) for number in numbers]
            # Offsets of open transactions need no waiting: the first transaction of a new group.
            committed = await fetch_committed_offsets(
                client, kafka.group_id, partitions, require_stable=False
            )
    finally:
        await client.stop()
    if committed:
        return GroupStart(ids)
    ranges = await _ranges(settings, partitions)
    _report(settings, ranges)
    if kafka.auto_offset_reset == "earliest":
        return GroupStart(ids)
    return GroupStart(ids, {each.partition: each.end for each in ranges})


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


async def _ranges(settings: Settings, partitions: Sequence[TopicPartition]) -> list[OffsetRange]:
    async with TopicReader.open(settings) as reader:
        return await reader.ranges(
            settings.qa.questions_topic,
            len(partitions),
            with_open_transactions=settings.kafka.isolation_level == "read_uncommitted",
        )


def _report(settings: Settings, ranges: Sequence[OffsetRange]) -> None:
    """Say what a group without offsets means: it is new, or its offsets have expired."""
    if records := sum(each.length for each in ranges):
        reset = settings.kafka.auto_offset_reset
        log.warning(
            "group_without_offsets",
            group=settings.kafka.group_id,
            topic=settings.qa.questions_topic,
            reset=reset,
            records=records,
            what="skipped" if reset == "latest" else "read from the oldest on",
        )
