"""Sends requests to coordinators and partition leaders over connections that callers share.

Responsible for finding the right broker, for repeating a request where that can help, and for
raising every other error. Not responsible for what a request means, nor for deadlines.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, count, repeat
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
    for_code,
)

from worker.kafka._aiokafka import fetch_partitions
from worker.kafka.connection import connection_options
from worker.kafka.error_codes import UnstableOffsetCommit
from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds before each repetition of a request; the last one repeats. The first are short because
the markers of the previous transaction take a few milliseconds (KAFKA-5477)."""

CONNECTIONS_PER_BROKER = 4
"""Producers share these. A broker handles one request of a connection at a time, and a response
waits for the replicas: on one connection, twelve transactions would run one after the other."""

_RETRY_SAME_BROKER = (ConcurrentTransactions, CoordinatorLoadInProgressError, UnstableOffsetCommit)
"""The request reached the right broker, which has not finished something else."""

ErrorCodes = Callable[[Any], Iterable[int]]
"""Returns the error codes in a response; 0 means no error."""


def client_for_transactions(kafka: KafkaSettings) -> AIOKafkaClient:
    """Returns a client that is not connected yet. Raises `SettingsError`."""
    options = connection_options(kafka)
    # A response that takes longer than the transaction may take comes too late to be used.
    options["request_timeout_ms"] = min(kafka.request_timeout_ms, kafka.transaction_timeout_ms)
    return AIOKafkaClient(**options)


class BrokerClient:
    """Call `start` first and `stop` last. `connection` is any number; equal numbers share a
    connection to a broker.
    """

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._connections = count()
        self._bootstrap: asyncio.Task[None] | None = None
        self._coordinators: dict[tuple[CoordinationType, str], int] = {}

    async def start(self) -> None:
        """Raises `KafkaError` if no broker answers."""
        # Shielded: cancelling aiokafka's bootstrap would leave a connection open.
        self._bootstrap = asyncio.create_task(self._client.bootstrap())
        await asyncio.shield(self._bootstrap)

    async def stop(self) -> None:
        """Close the connections. Requests in flight fail."""
        if self._bootstrap is not None:
            await asyncio.gather(self._bootstrap, return_exceptions=True)
        await self._client.close()

    def next_connection(self) -> int:
        """Returns a number for `connection`, so that producers spread evenly."""
        return next(self._connections)

    async def partitions(self, topic: str) -> list[int]:
        """Returns the numbers of the topic's partitions. Raises `KafkaError`."""
        return sorted(await fetch_partitions(self._client, topic))

    async def send_to_transaction_coordinator(
        self, transactional_id: str, request: Any, codes: ErrorCodes, *, connection: int
    ) -> Any:
        """Returns the response of the transactional id's coordinator. Raises `KafkaError`."""
        return await self._send_to_coordinator(
            CoordinationType.TRANSACTION, transactional_id, request, codes, connection
        )

    async def send_to_group_coordinator(
        self, group_id: str, request: Any, codes: ErrorCodes, *, connection: int
    ) -> Any:
        """Returns the response of the consumer group's coordinator. Raises `KafkaError`."""
        return await self._send_to_coordinator(
            CoordinationType.GROUP, group_id, request, codes, connection
        )

    async def send_to_leader(
        self, partition: TopicPartition, request: Any, codes: ErrorCodes, *, connection: int
    ) -> Any:
        """Returns the response of the partition's leader. Raises `KafkaError`."""

        async def find() -> int:
            await self.partitions(partition.topic)  # aiokafka then keeps its metadata up to date
            leader = self._client.cluster.leader_for_partition(partition)
            if leader is None or leader == -1:
                raise LeaderNotAvailableError(str(partition))
            return int(leader)

        return await self._send(find, request, codes, connection, self._refresh_metadata)

    async def _send_to_coordinator(
        self, kind: CoordinationType, key: str, request: Any, codes: ErrorCodes, connection: int
    ) -> Any:
        async def find() -> int:
            if (kind, key) not in self._coordinators:
                node = await self._client.coordinator_lookup(kind, key)
                self._coordinators[kind, key] = node
            return self._coordinators[kind, key]

        async def forget() -> None:
            self._coordinators.pop((kind, key), None)
            await self._refresh_metadata()

        return await self._send(find, request, codes, connection, forget)

    async def _refresh_metadata(self) -> None:
        await self._client.force_metadata_update()

    async def _send(
        self,
        find: Callable[[], Awaitable[int]],
        request: Any,
        codes: ErrorCodes,
        connection: int,
        forget: Callable[[], Awaitable[None]],
    ) -> Any:
        """Repeat the request until its response has no error. The caller sets the deadline.

        Raises errors that a repetition does not cure.
        """
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                response = await self._client.send(
                    # Connection group 0 is the client's own, for metadata.
                    await find(),
                    request,
                    group=1 + connection % CONNECTIONS_PER_BROKER,
                )
                for code in codes(response):
                    if code:
                        raise for_code(code)
            except NotImplementedError as error:
                raise IncompatibleBrokerVersion(
                    f"transactions need Kafka 2.5 or newer: {error}"
                ) from error
            except KafkaError as error:
                if recovery_for(error) is not Recovery.RETRY:
                    raise
                log.debug(
                    "request_retried", request=type(request).__name__, error=format_error(error)
                )
                if not isinstance(error, _RETRY_SAME_BROKER):
                    await forget()
            else:
                return response
            await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")
