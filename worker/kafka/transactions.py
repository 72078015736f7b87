"""Exactly once: a partition's answers, dead letters and offset in one transaction, behind a fence.

Every input partition has a transactional id of its own. To take it (`fence`) shuts out whoever
had it before and ends what they left open; only then is the committed offset read, and reading
starts there. So at any time one worker at most can commit for a partition, whatever the group
believes about who owns it, and what it commits begins where the last commit ended.

aiokafka's producer can do this with one producer, its connections and its background task for
each partition. Here the partitions share connections, and a transaction is one call that either
returns, or raises and has to be followed by another fence.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import DuplicateSequenceNumber, IllegalOperation, OperationNotAttempted
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)

from worker.kafka.broker_client import ErrorCodes
from worker.kafka.errors import Recovery, recovery_for
from worker.kafka.protocol import StableOffsetFetch
from worker.kafka.records import (
    BATCH_BYTES,
    OutputRecord,
    build_batches,
    next_sequence,
    partition_for,
)
from worker.settings import KafkaSettings

# A batch that the leader has already, and a partition that waits for the verdict on another.
_DUPLICATE, _NOT_ATTEMPTED = DuplicateSequenceNumber.errno, OperationNotAttempted.errno


def transactional_id(group: str, partition: TopicPartition) -> str:
    """The id that whoever works on this partition for this group has to take. A topic's name has
    no colon, so no two partitions of any groups share one.
    """
    return f"{group}:{partition.topic}:{partition.partition}"


class Asking(Protocol):
    """What a partition needs of the connections to the brokers."""

    async def partitions(self, topic: str) -> list[int]: ...

    async def ask_transactions(
        self, transactional_id: str, request: Any, codes: ErrorCodes, *, way: int
    ) -> Any: ...

    async def ask_group(self, group: str, request: Any, codes: ErrorCodes, *, way: int) -> Any: ...

    async def ask_leader(
        self, partition: TopicPartition, request: Any, codes: ErrorCodes, *, way: int
    ) -> Any: ...


async def fetch_stable_offset(link: Asking, group: str, partition: TopicPartition) -> int | None:
    """What the group has committed for the partition, if anything.

    Waits for the end of transactions that hold an offset of it. After a fence they can only be
    those whose end was decided before it.
    """
    response = await link.ask_group(
        group,
        StableOffsetFetch(group, partition),
        lambda answer: [answer.error_code, *_of_partitions(answer.topics, at=4)],
        way=partition.partition,
    )
    ((_, ((_, offset, *_),), _),) = response.topics
    return None if offset < 0 else int(offset)


class TransactionalProducer:
    """Those of one input partition, from one fence on. `fence`, then `commit` again and again; the
    first error is the last call: what the brokers have of it is then for the next fence to say.
    """

    def __init__(
        self,
        link: Asking,
        kafka: KafkaSettings,
        partition: TopicPartition,
        limits: Mapping[str, int],
    ) -> None:
        """`limits` is topic to `max.message.bytes`."""
        self._link = link
        self._partition = partition
        self._group = kafka.group_id
        self._id = transactional_id(kafka.group_id, partition)
        self._timeout_ms = kafka.transaction_timeout_ms
        self._compression = kafka.compression_type
        self._limits = limits
        self._producer = (-1, -1)  # id and epoch
        self._sequences: dict[TopicPartition, int] = defaultdict(int)
        self._usable = False

    async def fence(self) -> int | None:
        """Take the id, and the offset that the group has committed for the partition, if any.

        Asks until there is an answer. Raises `KafkaError` where asking has no use.
        """
        response = await self._link.ask_transactions(
            self._id,
            InitProducerIdRequest(self._id, self._timeout_ms),
            lambda answer: [answer.error_code],
            way=self._partition.partition,
        )
        self._producer = (response.producer_id, response.producer_epoch)
        self._sequences.clear()
        offset = await fetch_stable_offset(self._link, self._group, self._partition)
        self._usable = True
        return offset

    async def commit(self, records: Sequence[OutputRecord], offset: int) -> None:
        """Publish `records` and commit `offset`, together or not at all.

        Raises `KafkaError`, or `TimeoutError` where it takes longer than a transaction may.
        """
        if not self._usable:
            raise IllegalOperation(f"{self._id} has no fence")
        self._usable = False
        async with asyncio.timeout(self._timeout_ms / 1000):
            batches = await self._batches(records)
            if batches:
                await self._add_partitions(batches)
            await _side_by_side(
                self._commit_offset(offset),
                *(self._produce(partition, parts) for partition, parts in batches.items()),
            )
            await self._end()
        self._usable = True

    async def _batches(self, records: Sequence[OutputRecord]) -> dict[TopicPartition, list[bytes]]:
        """The records by where they go, in their order, as the bytes of a request each."""
        topics = {record.topic for record in records}
        partitions = {topic: await self._link.partitions(topic) for topic in topics}
        to: dict[TopicPartition, list[OutputRecord]] = defaultdict(list)
        for record in records:
            number = partition_for(record, partitions[record.topic])
            to[TopicPartition(record.topic, number)].append(record)
        batches = {}
        for partition, those in to.items():
            state = (*self._producer, self._sequences[partition])
            size = min(BATCH_BYTES, self._limits[partition.topic])
            batches[partition] = build_batches(those, state, size, self._compression)
            self._sequences[partition] = next_sequence(self._sequences[partition], len(those))
        return batches

    # The steps of a transaction.

    async def _add_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        by_topic = defaultdict(list)
        for topic, number in partitions:
            by_topic[topic].append(number)
        request = AddPartitionsToTxnRequest(self._id, *self._producer, list(by_topic.items()))
        await self._ask(request, lambda answer: _of_partitions(answer.errors, at=1))

    async def _produce(self, partition: TopicPartition, batches: Sequence[bytes]) -> None:
        for batch in batches:
            # Asked again, it carries the same sequence numbers, and the leader knows them.
            request = ProduceRequest(
                transactional_id=self._id,
                required_acks=-1,
                timeout=self._timeout_ms,
                topics=[(partition.topic, [(partition.partition, batch)])],
            )
            await self._link.ask_leader(
                partition,
                request,
                lambda answer: _of_partitions(answer.topics, at=1),
                way=self._partition.partition,
            )

    async def _commit_offset(self, offset: int) -> None:
        request = AddOffsetsToTxnRequest(self._id, *self._producer, self._group)
        await self._ask(request, lambda answer: [answer.error_code])
        topics = [(self._partition.topic, [(self._partition.partition, offset, "")])]
        await self._link.ask_group(
            self._group,
            TxnOffsetCommitRequest(self._id, self._group, *self._producer, topics),
            lambda answer: _of_partitions(answer.errors, at=1),
            way=self._partition.partition,
        )

    async def _end(self) -> None:
        # Asked again after a lost answer, the coordinator says what it said.
        request = EndTxnRequest(self._id, *self._producer, True)
        await self._ask(request, lambda answer: [answer.error_code])

    async def _ask(self, request: Any, codes: ErrorCodes) -> None:
        await self._link.ask_transactions(self._id, request, codes, way=self._partition.partition)


def _of_partitions(topics: Iterable[Any], *, at: int) -> Iterator[int]:
    """The error codes of a response by topic and partition; `at` is where a partition has its own.

    What was not attempted because of another is for that other to explain.
    """
    codes = [partition[at] for _, partitions, *_ in topics for partition in partitions]
    yield from (code for code in codes if code not in (_DUPLICATE, _NOT_ATTEMPTED))


async def _side_by_side(*steps: Coroutine[Any, Any, None]) -> None:
    """All steps, or the error of one of them: one that stops the worker, if there is any."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except ExceptionGroup as failed:
        raise max(failed.exceptions, key=lambda e: recovery_for(e) is Recovery.STOP) from None
