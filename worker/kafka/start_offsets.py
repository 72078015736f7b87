"""Where a consumer starts, and where it goes on after the brokers refused its position. Pure.

KAFKA_AUTO_OFFSET_RESET applies to a group without any committed offset of the topic, and to nothing
else. aiokafka, like Kafka's own client, also applies it where retention has overtaken the group and
to partitions that were added to the topic: `latest` then skips records that no member has read.
So aiokafka gets no policy; this module decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from worker.kafka.errors import StreamingError
from worker.kafka.topic_ids import NEW_OFFSETS, TopicIds


@dataclass(frozen=True, slots=True)
class GroupStart:
    """What a process found before it joined the group for the first time."""

    topic_ids: TopicIds
    first_offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Where the partitions of a group that had no offset begin with `latest`: their ends at that
    time. Empty for `earliest`, and for a group that had an offset of any partition of the topic.
    A partition that is not in here is new, or its records were not read: it starts at its
    beginning."""
    has_new_topic: bool = False
    """Whether the group had offsets of some of its topics, and none of another: that was added."""

    def offset(
        self, partition: TopicPartition, committed: OffsetAndMetadata | None, beginning: int
    ) -> int:
        """The first offset to fetch. Raises `StreamingError` for another topic's offset."""
        if committed is None:
            return self.first_offsets.get(partition, beginning)
        self.topic_ids.check_committed(partition, committed)
        return int(committed.offset)


def next_offset(partition: TopicPartition, position: int, beginning: int, end: int) -> int:
    """Where reading goes on after the brokers refused `position` as out of range.

    Raises `StreamingError` if the partition ends before it.
    """
    if position > end:
        raise StreamingError(
            f"{partition.topic} partition {partition.partition} ends at offset {end}, but the "
            f"group has read up to {position}: the topic was truncated, or deleted and created "
            f"again; {NEW_OFFSETS}"
        )
    return max(position, beginning)
