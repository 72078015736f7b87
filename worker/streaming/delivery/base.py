"""The protocols of delivery."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from aiokafka import TopicPartition

from worker.kafka.records import OutputRecord


@dataclass(frozen=True, slots=True)
class StartOffsets:
    """Where a partition's reading starts; `committed` is what the group has, if anything."""

    committed: int | None
    position: int


class PartitionDelivery(Protocol):
    """One partition's, for the time of one assignment."""

    async def begin(self) -> StartOffsets | None:
        """`None` where nobody can say, since the partition is being taken away.

        Raises `KafkaError`.
        """

    def deliver(self, records: Sequence[OutputRecord], offset: int) -> AsyncIterator[int]:
        """Publish `records`; all before `offset` is done with them. Yields, as the brokers have
        them, how many of them more are. Raises `KafkaError` and `TimeoutError`.
        """


class Delivery(Protocol):
    """A session's. `start`, then a way for each assigned partition, `stop` at the end."""

    commits: ClassVar[bool]
    """Whether to deliver is to commit, too, which then nobody else may do."""

    async def start(self) -> None: ...

    async def stop(self, *, seconds: float) -> None:
        """Raises `TimeoutError` where it takes longer."""

    def way(self, partition: TopicPartition) -> PartitionDelivery: ...
