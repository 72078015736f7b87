"""Every use of aiokafka's private members (0.14), with the upstream issue and the condition for its
removal. No other module may touch them: tests/kafka/test_aiokafka_private.py enforces it.

The upper bound of aiokafka in pyproject.toml exists because of this module.
"""

import asyncio
import json
import struct
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoError,
    SaslAuthenticationFailed,
)
from aiokafka.protocol.fetch import FetchRequest

from worker.kafka.record_batches import (
    CORRUPT_AT_BROKER,
    MessageSet,
    UndecodableFields,
    UnreadableBatchError,
    decompressed,
    open_batch,
    read_records,
)
from worker.kafka.records import FetchedRecord, UndecodableRecord, UnreadableBatch


async def force_close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close the connections of a consumer whose `stop()` failed, was cancelled or timed out.

    `stop()` waits for a JoinGroup, which waits for the group's slowest member; closing the
    connections ends both. It also leaves fetches running after an error of its coordinator.
    Upstream: https://github.com/aio-libs/aiokafka/issues/773 (stop() hangs),
    https://github.com/aio-libs/aiokafka/issues/647 (stop() raises CancelledError).
    Remove when `stop()` can be cancelled and then closes everything.
    """
    fetcher = consumer._fetcher
    if fetcher is not None:
        tasks = [fetcher._fetch_task, *fetcher._pending_tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # A close that was interrupted while it waited for the connections has cancelled their futures.
    # Waiting for them again raises `CancelledError`, as if this task were cancelled.
    ended: list[object] = await asyncio.gather(consumer._client.close(), return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


def observe_responses(consumer: AIOKafkaConsumer, observe: Callable[[Any, Any], None]) -> None:
    """Call `observe(request, response)` for every response to a consumer's request.

    aiokafka ignores `throttle_time_ms`, so that a quota looks like brokers that do not answer.
    No upstream issue found. Remove when the consumer reports it.
    """
    client = consumer._client
    send = client.send

    async def observed_send(node_id: int, request: Any, **options: Any) -> Any:
        response = await send(node_id, request, **options)
        observe(request, response)
        return response

    client.send = observed_send


async def fetch_partitions(client: AIOKafkaClient, topic: str) -> set[int]:
    """The topic's partitions, from the client's metadata or from a broker. Raises `KafkaError`.

    No upstream issue found. Remove when the client offers what `AIOKafkaProducer.partitions_for`
    calls.
    """
    partitions: set[int] = await client._wait_on_metadata(topic)
    return partitions


def group_member(consumer: AIOKafkaConsumer) -> tuple[int, str]:
    """Generation and member id; -1 and an empty string after the group removed this member. A group
    without members accepts a commit under these, over offsets that an operator has reset.

    No upstream issue found. Remove when the consumer has Java's `groupMetadata()`.
    """
    coordinator = consumer._coordinator
    return coordinator.generation, coordinator.member_id


async def send_to_any_broker(owner: AIOKafkaAdminClient | AIOKafkaConsumer, request: Any) -> Any:
    """The response to a request that the owner of a client has no method for. Raises `KafkaError`.

    No upstream issue found. Remove when admin client and consumer can send any request, or can
    describe topics with their ids and authorized operations (KIP-516, KIP-430).
    """
    client = owner._client
    return await client.send(client.get_random_node(), request)


async def advertised_brokers(admin: AIOKafkaAdminClient) -> tuple[bool, list[tuple[str, int]]]:
    """Whether the client can connect to one broker of its metadata, and where these say they are.

    No upstream issue found. Remove when the admin client's `start` connects to a broker under its
    advertised address, or offers its cluster metadata.
    """
    client = admin._client
    ready: bool = await client.ready(client.get_random_node())
    return ready, [(broker.host, broker.port) for broker in client.cluster.brokers()]


class RecordConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A consumer whose `getmany` and iteration raise for no record: they return an
    `UndecodableRecord` or an `UnreadableBatch` in its place.

    aiokafka's own raises UnicodeDecodeError for a header name that is not UTF-8 and
    CorruptRecordException for a wrong CRC, again at each call; it drops the records that the same
    call had read from other partitions; and it decompresses a batch to any size.
    Upstream: https://github.com/aio-libs/aiokafka/issues/321 (skip a corrupt record).
    Remove when aiokafka reports such a record by its offset and bounds what it decompresses.
    """

    def __init__(
        self, *topics: str, max_batch_bytes: int, skip_unreadable: bool, **options: Any
    ) -> None:
        """`max_batch_bytes` bounds what a batch decompresses to, and about what one fetch of a
        partition does. A batch that cannot be read is read again by the next fetch;
        `skip_unreadable` continues behind it instead. A batch that is too large is always skipped.
        """
        self._partition_records = partial(
            _TolerantRecords, max_batch_bytes=max_batch_bytes, skip_unreadable=skip_unreadable
        )
        self._tolerant_fetcher: Fetcher | None = None
        super().__init__(*topics, **options)

    @property
    def _fetcher(self) -> Fetcher | None:
        return self._tolerant_fetcher

    @_fetcher.setter
    def _fetcher(self, fetcher: Fetcher | None) -> None:
        # `start` sets it; the fetcher's tasks begin to run afterwards.
        if fetcher is not None:
            process = _with_globals(
                Fetcher._proc_fetch_request,
                MemoryRecords=MessageSet,
                PartitionRecords=self._partition_records,
            )
            fetcher._proc_fetch_request = MethodType(process, fetcher)
            fetcher._client = _FetchClient(fetcher._client)
        self._tolerant_fetcher = fetcher


class _FetchClient:
    """The client of a fetcher, for which a partition's error CORRUPT_MESSAGE is a corrupt batch.

    aiokafka fetches such a partition again at once, and logs neither its name nor the offset.
    """

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        response = await self._client.send(node_id, request, **options)
        if type(request) is FetchRequest:
            response.topics = [
                (topic, [_as_corrupt_batch(partition) for partition in partitions])
                for topic, partitions in response.topics
            ]
        return response


def _as_corrupt_batch(partition: tuple[Any, ...]) -> tuple[Any, ...]:
    """A partition of a response to Fetch: number, error code, ..., records."""
    number, error, *fields, _ = partition
    if error != CorruptRecordException.errno:
        return partition
    return number, NoError.errno, *fields, CORRUPT_AT_BROKER


def _with_globals(function: Any, **names: Any) -> Callable[..., Any]:
    """The same function, which finds these objects under its module's global names."""
    return FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


class _TolerantRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """The records of one partition in a response to Fetch."""

    def __init__(self, *args: Any, max_batch_bytes: int, skip_unreadable: bool) -> None:
        self.next_fetch_offset: int
        self._max_batch_bytes = max_batch_bytes
        self._skip_unreadable = skip_unreadable
        self._read_bytes = 0
        super().__init__(*args)

    def _unpack_records(self) -> Iterator[FetchedRecord]:
        batches = self._records.batches()
        while self._read_bytes < self._max_batch_bytes:  # beyond it, the rest is fetched again
            try:
                if (raw := next(batches, None)) is None:
                    return
                yield from self._read(raw)
            except UnreadableBatchError as error:
                if error.too_large:
                    self._read_bytes += self._max_batch_bytes  # as many were decompressed
                begin, end = self.next_fetch_offset, error.next_offset
                skip = self._skip_unreadable or error.too_large
                if end is None or end <= begin:
                    skip = False
                elif skip:
                    self.next_fetch_offset = end
                topic, partition = self._tp
                yield UnreadableBatch(topic, partition, begin, end, error.detail, skip)
                if not skip:
                    return

    def _read(self, raw: bytes) -> Iterator[Any]:
        """The records of a batch, without those of aborted transactions. `next_fetch_offset` is
        behind the last one that was yielded. Raises `UnreadableBatchError`.
        """
        batch = open_batch(raw)
        if not self._is_hidden(batch) and batch.next_offset > self.next_fetch_offset:
            plain = decompressed(raw, batch, self._max_batch_bytes)
            self._read_bytes += len(plain)
            for record in read_records(plain, batch, self.next_fetch_offset):
                self.next_fetch_offset = record.offset + 1
                if isinstance(record, UndecodableFields):
                    yield UndecodableRecord.of(record, *self._tp)
                else:
                    yield self._consumer_record(self._tp, record)
        # Compaction and markers leave offsets without a record.
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _is_hidden(self, batch: Any) -> bool:
        """Whether no consumer may see the batch: a marker, or records of an aborted transaction."""
        if self._isolation_level == _READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._is_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _is_abort_marker(self, batch: Any) -> bool:
        try:
            return bool(self._contains_abort_marker(batch))
        except (KafkaError, ValueError, struct.error) as error:
            detail = f"it is a transaction marker that is malformed: {error}"
            raise UnreadableBatchError(detail, batch.next_offset) from error


_READ_COMMITTED = 1


class DiagnosticConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    """A single connection, whose `connect` raises what the client only logs; it also raises
    `SaslAuthenticationFailed` if the broker rejects an OAUTHBEARER token.

    No upstream issue found for either. Remove when `AIOKafkaClient.bootstrap` raises the cause and
    `OAuthAuthenticator.step` checks the server's response.
    """

    def authenticator_oauth(self) -> "_CheckedOAuthAuthenticator":
        return _CheckedOAuthAuthenticator(sasl_oauth_token_provider=self._sasl_oauth_token_provider)

    async def close_if_open(self) -> None:
        if self._protocol is not None:
            await self.close()


class _CheckedOAuthAuthenticator(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka is untyped
    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        # The response is empty if the broker accepts the token (RFC 7628, section 3.2.3).
        if payload:
            raise SaslAuthenticationFailed(f"the broker rejects the token: {_status(payload)}")
        message: tuple[bytes, bool] | None = await super().step(payload)
        return message


def _status(payload: bytes) -> str:
    """The `status` of a server's error response: a JSON object."""
    try:
        response: Any = json.loads(payload)
    except ValueError:
        return "its response is not JSON"
    return str(response.get("status", "")) if isinstance(response, dict) else ""
