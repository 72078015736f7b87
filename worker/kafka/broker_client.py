"""Requests to coordinators and to leaders, over one client: finding who answers, asking again
where that is the cure, and raising what it does not cure.

What a request means, and what to do about an error, is left to whoever asks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, repeat
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    IncompatibleBrokerVersion,
    KafkaError,
    LeaderNotAvailableError,
)

from worker.kafka.connection import connection_options
from worker.kafka.errors import (
    Recovery,
    UnstableOffsetCommit,
    error_for_code,
    format_error,
    recovery_for,
)
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds before a request is repeated, then the last again and again. The first are short because
the markers of the transaction before take a few milliseconds (KAFKA-5477)."""

CONNECTIONS_PER_BROKER = 4
"""Connections to each broker that the partitions share. A broker works on one request of a
connection at a time, and an answer waits for the replicas: on one connection twelve transactions
would stand in line."""

_BUSY = (ConcurrentTransactions, CoordinatorLoadInProgressError, UnstableOffsetCommit)
"""The right one was asked, and is not done yet."""

ErrorCodes = Callable[[Any], Iterable[int]]
"""The error codes in a response, 0 for none."""


def client_for_transactions(kafka: KafkaSettings) -> AIOKafkaClient:
    """Not connected yet."""
    options = connection_options(kafka)
    # An answer that takes longer than a transaction may take is of no use.
    options["request_timeout_ms"] = min(kafka.request_timeout_ms, kafka.transaction_timeout_ms)
    return AIOKafkaClient(**options)


class BrokerClient:
    """`start`, then ask; `stop` at the end."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._starting: asyncio.Task[None] | None = None
        self._coordinators: dict[tuple[CoordinationType, str], int] = {}

    async def start(self) -> None:
        """Raises `KafkaError` where no broker answers."""
        # Cut off in the middle, it would leave a connection behind.
        self._starting = asyncio.create_task(self._client.bootstrap())
        await asyncio.shield(self._starting)

    async def stop(self) -> None:
        """Let go of the connections; what is asked at the moment fails."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._client.close()

    async def partitions(self, topic: str) -> list[int]:
        """The topic's partitions. Raises `KafkaError`."""
        return sorted(await self._client._wait_on_metadata(topic))

    async def ask_transactions(
        self, transactional_id: str, request: Any, codes: ErrorCodes, *, way: int
    ) -> Any:
        """Ask the coordinator of a transactional id."""
        return await self._coordinator(
            CoordinationType.TRANSACTION, transactional_id, request, codes, way
        )

    async def ask_group(self, group: str, request: Any, codes: ErrorCodes, *, way: int) -> Any:
        """Ask the coordinator of a consumer group."""
        return await self._coordinator(CoordinationType.GROUP, group, request, codes, way)

    async def ask_leader(
        self, partition: TopicPartition, request: Any, codes: ErrorCodes, *, way: int
    ) -> Any:
        """Ask the leader of a partition."""

        async def find() -> int:
            await self.partitions(partition.topic)  # so that its metadata are kept up to date
            leader = self._client.cluster.leader_for_partition(partition)
            if leader is None or leader == -1:
                raise LeaderNotAvailableError(str(partition))
            return int(leader)

        return await self._ask(find, request, codes, way, self._refresh)

    async def _coordinator(
        self, kind: CoordinationType, key: str, request: Any, codes: ErrorCodes, way: int
    ) -> Any:
        async def find() -> int:
            if (kind, key) not in self._coordinators:
                node = await self._client.coordinator_lookup(kind, key)
                self._coordinators[kind, key] = node
            return self._coordinators[kind, key]

        async def forget() -> None:
            self._coordinators.pop((kind, key), None)
            await self._refresh()

        return await self._ask(find, request, codes, way, forget)

    async def _refresh(self) -> None:
        await self._client.force_metadata_update()

    async def _ask(
        self,
        find: Callable[[], Awaitable[int]],
        request: Any,
        codes: ErrorCodes,
        way: int,
        forget: Callable[[], Awaitable[None]],
    ) -> Any:
        """Ask until the answer has no error. Raises the errors that asking again does not cure;
        how long it may take is the caller's deadline.
        """
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                response = await self._client.send(
                    await find(), request, group=1 + way % CONNECTIONS_PER_BROKER
                )
                for code in codes(response):
                    if code:
                        raise error_for_code(code)
            except NotImplementedError as error:
                raise IncompatibleBrokerVersion(
                    f"QA_DELIVERY=exactly_once needs Kafka 2.5 or newer: {error}"
                ) from error
            except KafkaError as error:
                if recovery_for(error) is not Recovery.RETRY:
                    raise
                log.debug(
                    "request_retried", request=type(request).__name__, error=format_error(error)
                )
                if not isinstance(error, _BUSY):
                    await forget()
            else:
                return response
            await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")
