"""Moves a consumer whose position the brokers refuse as out of range, and says what was lost."""

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from worker.kafka.start_offsets import next_offset
from worker.observability import metrics

log = structlog.get_logger(__name__)


async def go_on_from(consumer: AIOKafkaConsumer, partition: TopicPartition, position: int) -> None:
    """The brokers refused `position`: the partition begins behind it or ends before it.

    Raises `StreamingError` if it ends before it; `KafkaError`.
    """
    beginning = (await consumer.beginning_offsets([partition]))[partition]
    end = (await consumer.end_offsets([partition]))[partition]
    try:
        if await consumer.position(partition) != position:
            return  # this error is older than the position
        following = next_offset(partition, position, beginning, end)
        consumer.seek(partition, following)
    except IllegalStateError:
        return  # revoked meanwhile
    if following > position:
        labels = partition.topic, str(partition.partition)
        metrics.EXPIRED_OFFSETS.labels(*labels).inc(following - position)
        log.error(
            "records_expired",
            topic=partition.topic,
            partition=partition.partition,
            from_offset=position,
            to_offset=following,
        )
