"""A transactional producer that shares connections: records, and consumer offsets if given, in one
transaction.

`init_transactions` fences the producer that used the transactional id before and aborts the
transaction that it left open. For exactly-once delivery every input partition has a transactional
id of its own; the committed offset is read after the fence, so that at any time one worker can
commit for a partition, whatever the consumer group believes about its owner.

aiokafka's own producer needs its connections and a background task for each transactional id.
Here a transaction is one call that returns, or raises; after an error the producer is unusable.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    IncompatibleBrokerVersion,
    InvalidRequestError,
    OperationNotAttempted,
    UnsupportedVersionError,
)
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)
from aiokafka.structs import OffsetAndMetadata

from worker.kafka.broker_client import BrokerClient, ErrorCodes
from worker.kafka.deadline import deadline
from worker.kafka.errors import StreamingError, format_error
from worker.kafka.protocol import (
    StableOffsetFetchRequest,
    TxnOffsetCommitRequest,
    read_offsets,
)
from worker.kafka.receipts import Receipt
from worker.kafka.record_sender import RecordSender, TargetBatches, run_concurrently
from worker.kafka.records import OutputRecord
from worker.kafka.refusals import FOREIGN_PAUSES, FOREIGN_REFUSALS
from worker.settings import KafkaSettings

# The coordinator refused another partition of the request.
_NOT_ERRORS = (OperationNotAttempted.errno,)

_NO_TRANSACTIONS = (IncompatibleBrokerVersion, InvalidRequestError, UnsupportedVersionError)


def transactional_id(group_id: str, partition: TopicPartition) -> str:
    """The id for an input partition of a consumer group. Topic names cannot contain a colon, so
    two partitions never share an id.
    """
    return f"{group_id}:{partition.topic}:{partition.partition}"


async def fetch_stable_offset(
    client: BrokerClient, group_id: str, partition: TopicPartition
) -> OffsetAndMetadata | None:
    """The offset that the group has committed for the partition, or None.

    Waits until no open transaction holds an offset of the partition (KIP-447). Raises `KafkaError`.
    """
    found = await fetch_committed_offsets(client, group_id, [partition])
    return found.get(partition)


async def fetch_committed_offsets(
    client: BrokerClient,
    group_id: str,
    partitions: Sequence[TopicPartition],
    *,
    require_stable: bool = True,
) -> dict[TopicPartition, OffsetAndMetadata]:
    """The offsets that the group has committed for partitions of one topic, without those that have
    none.

    With `require_stable`, waits until no open transaction holds one of them; brokers that cannot
    tell, older than Kafka 2.5, have no such transaction of ours. Raises `KafkaError`.
    """
    topic, numbers = partitions[0].topic, [each.partition for each in partitions]
    response = await client.send_to_group_coordinator(
        group_id,
        StableOffsetFetchRequest(group_id, topic, numbers, require_stable=require_stable),
        lambda response: [
            response.error_code,
            *(each.error_code for each in read_offsets(response)),
        ],
        connection=numbers[0],
    )
    return {
        TopicPartition(topic, each.partition): OffsetAndMetadata(each.offset, each.metadata)
        for each in read_offsets(response)
        if each.offset >= 0
    }


@dataclass(frozen=True, slots=True)
class TransactionTime:
    """Of a committed transaction, in seconds."""

    duration: float
    throttled: float
    """Time from its end on in which the brokers mute the connections that it used."""
    receipts: Mapping[int, Receipt] = field(default_factory=dict)
    """Index of a record to its receipt."""


class TransactionalProducer:
    """Call `init_transactions`, then `commit` any number of times. After an error, or a
    cancellation, only another `init_transactions` makes the outcome of the last transaction known.
    """

    def __init__(
        self,
        client: BrokerClient,
        kafka: KafkaSettings,
        transactional_id: str,
        limits: Mapping[str, int],
        member: tuple[int, str] = (-1, ""),
        offset_metadata: str = "",
    ) -> None:
        """`client` is started by the caller. `limits` maps a topic to its `max.message.bytes`.

        `member` is the generation and the member id under which offsets are committed; without
        them, the group's membership is not checked. `offset_metadata` is committed beside each
        offset.
        """
        self._client = client
        self._group_id = kafka.group_id
        self._id = transactional_id
        self._timeout_ms = kafka.transaction_timeout_ms
        self._member = member
        self._offset_metadata = offset_metadata
        self._sender = RecordSender(
            client,
            limits,
            compression=kafka.compression_type,
            timeout_ms=kafka.transaction_timeout_ms,
            transactional_id=transactional_id,
        )
        self._connection = self._sender.connection
        self._producer = (-1, -1)  # id and epoch
        self._usable = False

    async def init_transactions(self) -> None:
        """Fence the previous owner of the transactional id and abort its open transaction.

        Waits without a deadline for a coordinator. Raises `KafkaError` if repeating cannot help.
        """
        request = InitProducerIdRequest(self._id, self._timeout_ms)
        try:
            response = await self._send(request, lambda answer: [answer.error_code])
        except _NO_TRANSACTIONS as error:
            # A cluster that refuses it only now, after it has named a coordinator.
            raise StreamingError(
                f"the transaction coordinator refuses InitProducerId for {self._id} "
                f"({format_error(error)}); if the cluster has no transactions, set "
                f"QA_DELIVERY=at_least_once"
            ) from error
        self._producer = (response.producer_id, response.producer_epoch)
        self._sender.begin(*self._producer)
        self._usable = True

    async def commit(
        self,
        records: Sequence[OutputRecord],
        offsets: Mapping[TopicPartition, int] | None = None,
    ) -> TransactionTime:
        """Publish `records` and commit the group's `offsets` in one transaction.

        Waits, before the transaction begins, while the brokers throttle the connections that it
        needs.

        Raises `RecordsRefusedError`, `ThrottledError` and other `KafkaError`s, or `TimeoutError`
        after KAFKA_TRANSACTION_TIMEOUT_MS.
        """
        if not self._usable:
            raise IllegalOperation(
                f"{self._id}: call init_transactions() first, and after an error"
            )
        if not records and not offsets:
            return TransactionTime(0.0, 0.0)
        self._usable = False
        targets = await self._sender.encode(records)
        await self._client.wait_unthrottled(targets, connection=self._connection)
        began = time.monotonic()
        timeout = self._timeout_ms / 1000
        async with deadline(timeout, "end of the transaction"):
            if targets:
                await self._add_partitions(targets)
            steps: list[Coroutine[Any, Any, Mapping[int, Receipt] | None]] = []
            if targets:
                steps.append(self._produce(targets, began + timeout))
            if offsets:
                steps.append(self._commit_offsets(offsets))
            acknowledged, *_ = await run_concurrently(steps)
            await self._end()
        self._usable = True
        throttled = self._client.throttled_seconds(targets, connection=self._connection)
        return TransactionTime(time.monotonic() - began, throttled, acknowledged or {})

    # The steps of a transaction. `BrokerClient` may repeat each of them.

    async def _add_partitions(self, targets: Mapping[TopicPartition, TargetBatches]) -> None:
        """Raises `RecordsRefusedError` if the coordinator refuses foreign topics."""
        request = AddPartitionsToTxnRequest(
            self._id,
            *self._producer,
            _by_topic((target, target.partition) for target in targets),
        )
        foreign = {target for target, batches in targets.items() if batches.foreign}
        for pause in (*FOREIGN_PAUSES, None):
            response = await self._send(
                request,
                lambda response: _partition_errors(response.errors, field=1, foreign=foreign),
            )
            refused = {
                target: code
                for topic, partitions, *_ in response.errors
                for number, code in partitions
                if code in FOREIGN_REFUSALS and (target := TopicPartition(topic, number)) in foreign
            }
            if not refused:
                return
            await self._sender.check_refused(targets, refused, last=pause is None)
            await asyncio.sleep(pause or 0.0)

    async def _produce(
        self, targets: Mapping[TopicPartition, TargetBatches], until: float
    ) -> Mapping[int, Receipt]:
        return await self._sender.send(targets, deadline=until)

    async def _commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        request = AddOffsetsToTxnRequest(self._id, *self._producer, self._group_id)
        await self._send(request, lambda response: [response.error_code])
        with_metadata = {
            partition: OffsetAndMetadata(offset, self._offset_metadata)
            for partition, offset in offsets.items()
        }
        await self._client.send_to_group_coordinator(
            self._group_id,
            TxnOffsetCommitRequest(
                self._id, self._group_id, self._producer, self._member, with_metadata
            ),
            lambda response: _partition_errors(response.errors, field=1),
            connection=self._connection,
        )

    async def _end(self) -> None:
        # Repeated after a lost response, the coordinator gives the same response.
        request = EndTxnRequest(self._id, *self._producer, True)
        await self._send(request, lambda response: [response.error_code])

    async def _send(self, request: Any, codes: ErrorCodes) -> Any:
        return await self._client.send_to_transaction_coordinator(
            self._id, request, codes, connection=self._connection
        )


def _by_topic(entries: Iterable[tuple[TopicPartition, Any]]) -> list[tuple[str, list[Any]]]:
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for partition, entry in entries:
        by_topic[partition.topic].append(entry)
    return list(by_topic.items())


def _partition_errors(
    topics: Iterable[Any], *, field: int, foreign: Collection[TopicPartition] = ()
) -> Iterator[int]:
    """The partitions' error codes in a response, without the refusals of `foreign` ones; `field` is
    their index in a partition's entry.
    """
    for topic, partitions, *_ in topics:
        for number, *entry in partitions:
            code = entry[field - 1]
            if code in FOREIGN_REFUSALS and TopicPartition(topic, number) in foreign:
                continue
            if code not in _NOT_ERRORS:
                yield code
