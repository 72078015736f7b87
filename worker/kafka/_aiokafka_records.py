"""A consumer for records at which aiokafka's own raises, by means of its private members (0.14).

One of the three modules that may use them (see `_aiokafka.py`), and a reason for the upper bound of
aiokafka in pyproject.toml.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError, NoError
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

_READ_COMMITTED = 1


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
