"""Sends records to the leaders of their target partitions, in idempotent batches of one producer.

What a leader refuses for good is raised as `RecordsRefusedError`, which names the records.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    for_code,
)

from worker.kafka.broker_client import BrokerClient
from worker.kafka.error_codes import InvalidRecord
from worker.kafka.errors import Recovery, recovery_for
from worker.kafka.protocol import ProduceRequest
from worker.kafka.records import (
    BATCH_BYTES,
    Batch,
    OutputRecord,
    build_batches,
    next_sequence,
    partition_for,
)

T = TypeVar("T")

_TOO_LARGE = (MessageSizeTooLargeError.errno, RecordListTooLargeError.errno)
_REFUSED = (*_TOO_LARGE, InvalidRecord.errno, InvalidTimestampError.errno)
"""Answers to a batch that no repetition changes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a leader does not take a record."""

    topic: str
    error: str
    """The protocol's name of the error."""
    reason: str
    """The broker's words, or the error's description."""
    too_large: bool

    def __str__(self) -> str:
        return f"{self.topic} refuses the record: {self.error}: {self.reason}"


class RecordsRefusedError(KafkaError):  # type: ignore[misc]  # aiokafka is untyped
    """Their topics never take these records, however often they are sent."""

    def __init__(self, refusals: Mapping[int, Refusal], acknowledged: Collection[int]) -> None:
        """`refusals` maps the index of a record among those that were sent. Empty: the leader did
        not say which record of a batch it means; sent again, each has a batch of its own.
        `acknowledged` are the indexes of records that were taken before.
        """
        super().__init__("; ".join(str(each) for each in refusals.values()))
        self.refusals = refusals
        self.acknowledged = acknowledged


@dataclass(frozen=True, slots=True)
class TargetBatches:
    """What is sent to one target partition."""

    batches: Sequence[Batch]
    indexes: Sequence[int]
    """The records' indexes among all that are sent."""


class RecordSender:
    """One producer's. After an error only `begin` with a new id or epoch makes it usable."""

    def __init__(
        self,
        client: BrokerClient,
        limits: Mapping[str, int],
        *,
        compression: str,
        timeout_ms: int,
        transactional_id: str | None = None,
    ) -> None:
        """`limits` maps a topic to its `max.message.bytes`; `timeout_ms` is the brokers' time for
        replication.
        """
        self.connection = client.next_connection()
        self._client = client
        self._limits = limits
        self._compression = compression
        self._timeout_ms = timeout_ms
        self._transactional_id = transactional_id
        self._producer = (-1, -1)
        self._sequences: dict[TopicPartition, int] = defaultdict(int)
        self._unbatched: set[str] = set()
        """Topics that refused a batch without naming a record: a batch for each record."""

    def begin(self, producer_id: int, epoch: int) -> None:
        """Sequence numbers begin at 0."""
        self._producer = (producer_id, epoch)
        self._sequences.clear()

    async def encode(self, records: Sequence[OutputRecord]) -> dict[TopicPartition, TargetBatches]:
        """Target partition to its batches. Raises `KafkaError`."""
        topics = {record.topic for record in records}
        partitions = {topic: await self._client.partitions(topic) for topic in topics}
        indexes: dict[TopicPartition, list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            number = partition_for(record, partitions[record.topic])
            indexes[TopicPartition(record.topic, number)].append(index)
        return {target: self._encode(target, records, its) for target, its in indexes.items()}

    def _encode(
        self, target: TopicPartition, records: Sequence[OutputRecord], indexes: Sequence[int]
    ) -> TargetBatches:
        sequence = self._sequences[target]
        size = min(BATCH_BYTES, self._limits[target.topic])
        batches = build_batches(
            [records[index] for index in indexes],
            (*self._producer, sequence),
            0 if target.topic in self._unbatched else size,
            self._compression,
            transactional=self._transactional_id is not None,
        )
        self._sequences[target] = next_sequence(sequence, len(indexes))
        return TargetBatches(batches, indexes)

    async def send(
        self, targets: Mapping[TopicPartition, TargetBatches], *, deadline: float | None = None
    ) -> None:
        """Send to all targets side by side, each one's batches in their order.

        Raises `RecordsRefusedError` once every target has answered; `ThrottledError` if the brokers
        throttle a connection beyond `deadline` (monotonic time in seconds); `KafkaError`.
        """
        results = await run_concurrently(
            self._send(target, parts, deadline) for target, parts in targets.items()
        )
        if any(refusals is not None for _, refusals in results):
            raise RecordsRefusedError(
                {index: why for _, refusals in results for index, why in (refusals or {}).items()},
                {index for acknowledged, _ in results for index in acknowledged},
            )

    async def _send(
        self, target: TopicPartition, parts: TargetBatches, deadline: float | None
    ) -> tuple[Sequence[int], dict[int, Refusal] | None]:
        """Returns the indexes that the leader has taken, and what it refuses; None if nothing."""
        first = 0
        for batch in parts.batches:
            # A repetition has the same sequence numbers, so the leader recognises the batch.
            response = await self._client.send_to_leader(
                target,
                ProduceRequest(self._transactional_id, self._timeout_ms, target, batch.data),
                _retriable_errors,
                connection=self.connection,
                deadline=deadline,
            )
            (answer,) = _answers(response)
            if answer[1] in _REFUSED:
                refused = parts.indexes[first : first + batch.count]
                return parts.indexes[:first], self._refusals(target, refused, answer)
            first += batch.count
        return parts.indexes, None

    def _refusals(
        self, target: TopicPartition, indexes: Sequence[int], answer: Sequence[Any]
    ) -> dict[int, Refusal]:
        _, code, *more = answer
        # Fields of version 8: offset, timestamp, log start, errors by record, error of the batch.
        by_record, of_batch = more[3:5] if len(more) >= 5 else ([], None)
        error = for_code(code)
        if code == InvalidTimestampError.errno:
            words = [text for _, text in by_record if text] or [of_batch or error.description]
            raise InvalidTimestampError(
                f"{target.topic} refuses this machine's timestamps: {words[0]}. Set the clock of "
                f"this machine or of the brokers, or the topic's message.timestamp.after.max.ms "
                f"and message.timestamp.before.max.ms"
            )
        named = {index: text for index, text in by_record if 0 <= index < len(indexes)}
        if not named and len(indexes) == 1:
            named = {0: None}
        if not named:
            self._unbatched.add(target.topic)
        return {
            indexes[index]: Refusal(
                target.topic,
                error.message,
                text or of_batch or error.description,
                code in _TOO_LARGE,
            )
            for index, text in named.items()
        }


async def run_concurrently(steps: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all steps. If some fail, raises one error: a fatal one if there is one."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in steps]
    except ExceptionGroup as failed:
        raise max(failed.exceptions, key=lambda e: recovery_for(e) is Recovery.FATAL) from None
    return [task.result() for task in tasks]


def _answers(response: Any) -> list[Any]:
    return [answer for _, answers in response.topics for answer in answers]


def _retriable_errors(response: Any) -> Iterator[int]:
    """Error codes but those that `_send` handles, and that of a batch that the leader has."""
    handled = (*_REFUSED, DuplicateSequenceNumber.errno)
    return (answer[1] for answer in _answers(response) if answer[1] not in handled)
