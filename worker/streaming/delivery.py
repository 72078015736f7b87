"""The two ways that outcomes reach the brokers, in one shape: what a session starts and stops, and
what each of its partitions delivers through.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from worker.settings import KafkaSettings, Settings
from worker.streaming.errors import in_a_line
from worker.streaming.intake import Intake
from worker.streaming.link import Link, client_for_transactions
from worker.streaming.outbox import Outbox
from worker.streaming.records import Outgoing
from worker.streaming.transactions import Transactions

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a partition's reading starts; `committed` is what the group has, if anything."""

    committed: int | None
    position: int


class Way(Protocol):
    """One partition's, for the time of one assignment."""

    async def begin(self) -> Beginning | None:
        """`None` where nobody can say, since the partition is being taken away.

        Raises `KafkaError`.
        """

    def deliver(self, records: Sequence[Outgoing], offset: int) -> AsyncIterator[int]:
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

    def way(self, partition: TopicPartition) -> Way: ...


class AtLeastOnce:
    """One idempotent producer; the consumer commits, behind what was acknowledged."""

    commits: ClassVar[bool] = False

    def __init__(self, kafka: KafkaSettings, limits: Mapping[str, int], intake: Intake) -> None:
        self._outbox = Outbox(kafka, limits)
        self._intake = intake

    async def start(self) -> None:
        await self._outbox.start()

    async def stop(self, *, seconds: float) -> None:
        await self._outbox.stop(seconds=seconds)

    def way(self, partition: TopicPartition) -> Way:
        return _Acknowledged(self._outbox, self._intake, partition)


class ExactlyOnce:
    """A transaction for each partition, behind its fence; nothing is fetched before that stands."""

    commits: ClassVar[bool] = True

    def __init__(self, kafka: KafkaSettings, limits: Mapping[str, int], intake: Intake) -> None:
        self._kafka = kafka
        self._limits = limits
        self._intake = intake
        self._link = Link(client_for_transactions(kafka))

    async def start(self) -> None:
        await self._link.start()

    async def stop(self, *, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._link.stop()

    def way(self, partition: TopicPartition) -> Way:
        self._intake.pause(partition)
        transactions = Transactions(self._link, self._kafka, partition, self._limits)
        return _Fenced(transactions, self._intake, partition)


def delivery(settings: Settings, limits: Mapping[str, int], intake: Intake) -> Delivery:
    """The one that `QA_DELIVERY` names. `limits` is topic to `max.message.bytes`."""
    if settings.qa.delivery == "exactly_once":
        return ExactlyOnce(settings.kafka, limits, intake)
    return AtLeastOnce(settings.kafka, limits, intake)


class _Acknowledged:
    def __init__(self, outbox: Outbox, intake: Intake, partition: TopicPartition) -> None:
        self._outbox = outbox
        self._intake = intake
        self._partition = partition

    async def begin(self) -> Beginning | None:
        try:
            committed = await self._intake.committed(self._partition)
            return Beginning(committed, await self._intake.position(self._partition))
        except KafkaError as error:
            # Records come without this, too; what is lost is the commit of an idle partition.
            log.info(
                "beginning_unknown", partition=self._partition.partition, error=in_a_line(error)
            )
            return None

    async def deliver(self, records: Sequence[Outgoing], offset: int) -> AsyncIterator[int]:  # noqa: ARG002
        futures = []
        for record in records:
            future = await self._outbox.send(record)
            # An error that nobody looks at, since one before it was raised, is complained of.
            future.add_done_callback(_look_at)
            futures.append(future)
        for future in futures:
            await self._outbox.acknowledged(future)
            yield 1


class _Fenced:
    def __init__(
        self, transactions: Transactions, intake: Intake, partition: TopicPartition
    ) -> None:
        self._transactions = transactions
        self._intake = intake
        self._partition = partition

    async def begin(self) -> Beginning | None:
        offset = await self._transactions.fence()
        if offset is None:
            # Nothing is read before there is an offset to come back to: the consumer would stand
            # behind what was read in vain, and the reset policy ("latest") might skip it.
            offset = await self._intake.position(self._partition)
            await self._transactions.commit([], offset)
        return Beginning(offset, offset) if self._intake.resume(self._partition, offset) else None

    async def deliver(self, records: Sequence[Outgoing], offset: int) -> AsyncIterator[int]:
        await self._transactions.commit(records, offset)
        yield len(records)


def _look_at(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
