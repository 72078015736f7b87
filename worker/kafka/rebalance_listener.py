"""What a member of the group is told about rebalances."""

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from worker.observability import metrics


class RebalanceListener(Protocol):
    """Rebalances are eager: each revokes all partitions before it assigns any.

    Neither method may raise: aiokafka would log the error and continue.
    """

    async def on_revoked(self) -> None:
        """All partitions are revoked. The group waits until this returns."""

    def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions, and no others, are assigned from now on."""


class CountingListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Counts rebalances, and calls a `RebalanceListener` from aiokafka's."""

    def __init__(
        self,
        listener: RebalanceListener,
        on_assigned: Callable[[], None],
        on_revoked: Callable[[], None],
    ) -> None:
        """`on_assigned` and `on_revoked` are called before the listener."""
        self._listener = listener
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # aiokafka also calls this before the first assignment, without partitions.
        if revoked:
            metrics.REVOCATIONS.inc()
        self._on_revoked()
        await self._listener.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        metrics.REBALANCES.inc()
        self._on_assigned()
        self._listener.on_assigned(assigned)
