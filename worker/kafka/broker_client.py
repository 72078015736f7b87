"""Sends requests to coordinators and partition leaders over connections that callers share.

Responsible for finding the right broker, for repeating a request where that can help, and for
raising every other error. Not responsible for what a request means, nor for deadlines.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
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
    NodeNotReadyError,
    for_code,
)

from worker.kafka._aiokafka import fetch_partitions
from worker.kafka.connection import connection_options
from worker.kafka.deadline import note_interrupted
from worker.kafka.error_codes import UnstableOffsetCommit
from worker.kafka.errors import Recovery, format_error, recovery_for
from worker.kafka.foreign_topics import ForeignTopics
from worker.kafka.throttle import (
    OnThrottled,
    Throttle,
    ThrottledError,
    ignore_throttled,
    throttle_seconds,
)
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds before each repetition of a request; the last one repeats. The first are short because
the markers of the previous transaction take a few milliseconds (KAFKA-5477)."""

CONNECTIONS_PER_BROKER = 4
"""Producers share these; so many for records, and so many for all other requests. A broker handles
one request of a connection at a time, and a response waits for the replicas: on one connection,
twelve transactions would run one after the other. A quota on bytes mutes the connections on which
records came, so EndTxn needs another one to end a transaction in time."""

_RETRY_SAME_BROKER = (ConcurrentTransactions, CoordinatorLoadInProgressError, UnstableOffsetCommit)
"""The request reached the right broker, which has not finished something else."""

ErrorCodes = Callable[[Any], Iterable[int]]
"""Returns the error codes in a response; 0 means no error."""


def client_for_transactions(kafka: KafkaSettings) -> AIOKafkaClient:
    """Returns a client that is not connected yet. Raises `SettingsError`."""
    options = connection_options(kafka)
    # A response that takes longer than the transaction may take comes too late to be used.
    options["request_timeout_ms"] = min(kafka.request_timeout_ms, kafka.transaction_timeout_ms)
    return AIOKafkaClient(**options, metadata_max_age_ms=kafka.metadata_max_age_ms)


class BrokerClient:
    """Call `start` first and `stop` last. `connection` is any number; equal numbers share a
    connection to a broker.

    A connection that the broker has muted for a quota gets no request until the broker reads from
    it again: waiting there, the request would time out.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        on_throttled: OnThrottled = ignore_throttled,
        *,
        metadata_max_age: float = 300.0,
        max_request_size: int | None = None,
    ) -> None:
        """`metadata_max_age` is the time in seconds for which foreign topics are remembered;
        `max_request_size` is KAFKA_MAX_REQUEST_SIZE, which bounds the records for them.
        """
        self.foreign_topics = ForeignTopics(self._ask, metadata_max_age, max_bytes=max_request_size)
        self._client = client
        self._on_throttled = on_throttled
        self._throttle = Throttle()
        self._sending: dict[tuple[int, int], asyncio.Lock] = defaultdict(asyncio.Lock)
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
        await self.foreign_topics.close()
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
        self,
        partition: TopicPartition,
        request: Any,
        codes: ErrorCodes,
        *,
        connection: int,
        deadline: float | None = None,
        foreign: bool = False,
    ) -> Any:
        """Returns the response of the partition's leader. Raises `KafkaError`; `ThrottledError` if
        the leader does not read the request before `deadline` (monotonic time in seconds);
        `ForeignTopicError` if the topic is `foreign` and cannot be written to.
        """

        async def find() -> int:
            if foreign:
                return await self.foreign_topics.leader(partition)
            await self.partitions(partition.topic)  # aiokafka then keeps its metadata up to date
            leader = self._leader(partition)
            if leader is None:
                raise LeaderNotAvailableError(str(partition))
            return leader

        async def forget() -> None:
            self.foreign_topics.forget(partition.topic)
            await self._refresh_metadata()

        group = _records_group(connection)
        return await self._send(find, request, codes, group, forget, deadline=deadline)

    async def send_to_any_broker(self, request: Any, codes: ErrorCodes, *, connection: int) -> Any:
        """Returns the response of a broker. Raises `KafkaError`."""

        async def find() -> int:
            node: int | None = self._client.get_random_node()
            if node is None:
                raise NodeNotReadyError("no broker is known")
            return node

        group = 1 + connection % CONNECTIONS_PER_BROKER
        return await self._send(find, request, codes, group, self._refresh_metadata)

    async def wait_unthrottled(
        self, partitions: Collection[TopicPartition], *, connection: int
    ) -> None:
        """Wait until the leaders of all these partitions read records from the connection."""
        seconds = self.throttled_seconds(partitions, connection=connection)
        while seconds:
            await asyncio.sleep(seconds)
            seconds = self.throttled_seconds(partitions, connection=connection)

    def throttled_seconds(self, partitions: Iterable[TopicPartition], *, connection: int) -> float:
        """Seconds until the leaders of all these partitions read records from the connection."""
        group = _records_group(connection)
        links = {(self._leader(partition), group) for partition in partitions}
        return max((self._throttle.remaining(link) for link in links), default=0.0)

    def _leader(self, partition: TopicPartition) -> int | None:
        leader: int | None = self._client.cluster.leader_for_partition(partition)
        if leader is None:
            leader = self.foreign_topics.known_leader(partition)
        return None if leader == -1 else leader

    async def _ask(self, request: Any) -> Any:
        return await self.send_to_any_broker(request, lambda _: (), connection=0)

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

        group = 1 + connection % CONNECTIONS_PER_BROKER
        return await self._send(find, request, codes, group, forget)

    async def _refresh_metadata(self) -> None:
        await self._client.force_metadata_update()

    async def _send(
        self,
        find: Callable[[], Awaitable[int]],
        request: Any,
        codes: ErrorCodes,
        group: int,
        forget: Callable[[], Awaitable[None]],
        *,
        deadline: float | None = None,
    ) -> Any:
        """Repeat the request until its response has no error. The caller sets the deadline.

        `group` is aiokafka's number of the connection to each broker; 0 is the client's own, for
        metadata. Raises errors that a repetition does not cure.
        """
        last = "not answered"
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                response = await self._send_unthrottled(find, request, group, deadline)
                for code in codes(response):
                    if code:
                        raise for_code(code)
            except NotImplementedError as error:
                raise IncompatibleBrokerVersion(
                    f"the brokers are too old for {type(request).__name__}: {error}"
                ) from error
            except asyncio.CancelledError:
                note_interrupted(f"{type(request).__name__}: {last}")
                raise
            except KafkaError as error:
                if recovery_for(error) is not Recovery.RETRY:
                    raise
                last = format_error(error)
                log.debug("request_retried", request=type(request).__name__, error=last)
                if not isinstance(error, _RETRY_SAME_BROKER):
                    await forget()
            else:
                return response
            await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")

    async def _send_unthrottled(
        self,
        find: Callable[[], Awaitable[int]],
        request: Any,
        group: int,
        deadline: float | None,
    ) -> Any:
        link = (await find(), group)
        # Records: one request of a connection at a time, as the broker handles them; only the
        # response to one tells whether the next has to wait.
        exclusive = group > CONNECTIONS_PER_BROKER
        async with self._sending[link] if exclusive else contextlib.nullcontext():
            muted = self._throttle.remaining(link)
            if muted:
                if deadline is not None and time.monotonic() + muted >= deadline:
                    raise ThrottledError(f"broker {link[0]} throttles the worker for {muted:.1f} s")
                await self._throttle.wait(link)
            if exclusive and await find() != link[0]:
                raise NodeNotReadyError(f"broker {link[0]} no longer leads the partition")
            response = await self._client.send(link[0], request, group=group)
            seconds = throttle_seconds(response)
            if seconds:
                self._throttle.mute(link, seconds)
                self._on_throttled(type(request).__name__, seconds)
            return response


def _records_group(connection: int) -> int:
    return 1 + CONNECTIONS_PER_BROKER + connection % CONNECTIONS_PER_BROKER
