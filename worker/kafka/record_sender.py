"""Sends records to the leaders of their target partitions, in idempotent batches of one producer
if the brokers give it an id.

What a leader refuses for good is raised as `RecordsRefusedError`, which names the records.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidTimestampError,
    for_code,
)

from worker.kafka.broker_client import BrokerClient
from worker.kafka.error_codes import protocol_name
from worker.kafka.errors import Recovery, recovery_for
from worker.kafka.foreign_topics import LEADER_SECONDS, ForeignTopicError, Patience
from worker.kafka.protocol import ProduceRequest
from worker.kafka.receipts import Receipt, receipts
from worker.kafka.records import (
    BATCH_BYTES,
    Batch,
    OutputRecord,
    build_batches,
    next_sequence,
    partition_for,
)
from worker.kafka.refusals import (
    FORBIDDEN,
    FOREIGN_FINAL,
    REFUSED,
    TOO_LARGE,
    RecordsRefusedError,
    Refusal,
    missing,
)

T = TypeVar("T")

NO_PRODUCER = (-1, -1)
"""Producer id and epoch of batches that no leader checks for repetitions and gaps."""

_NO_SEQUENCE = -1


@dataclass(frozen=True, slots=True)
class TargetBatches:
    """What is sent to one target partition."""

    batches: Sequence[Batch]
    indexes: Sequence[int]
    """The records' indexes among all that are sent."""
    foreign: bool


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
        self._producer = NO_PRODUCER
        self._sequences: dict[TopicPartition, int] = defaultdict(int)
        self._unbatched: set[str] = set()
        """Topics that refused a batch without naming a record: a batch for each record."""

    def begin(self, producer_id: int, epoch: int) -> None:
        """Sequence numbers begin at 0."""
        self._producer = (producer_id, epoch)
        self._sequences.clear()

    async def encode(self, records: Sequence[OutputRecord]) -> dict[TopicPartition, TargetBatches]:
        """Target partition to its batches. Raises `RecordsRefusedError` for foreign topics that
        cannot be written to, and other `KafkaError`s.
        """
        topics = {record.topic for record in records if not record.foreign}
        partitions: dict[str, Sequence[int]] = {
            topic: await self._client.partitions(topic) for topic in topics
        }
        find = self._client.foreign_topics.find
        foreign = {each.topic: await find(each.topic) for each in records if each.foreign}
        refused = {
            index: missing(record.topic, problem)
            for index, record in enumerate(records)
            if record.foreign and (problem := foreign[record.topic].problem_with(record.partition))
        }
        if refused:
            raise RecordsRefusedError(refused, {})
        partitions |= {topic: range(len(found.leaders)) for topic, found in foreign.items()}
        limits = {topic: found.max_message_bytes for topic, found in foreign.items()}
        indexes: dict[TopicPartition, list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            number = partition_for(record, partitions[record.topic])
            indexes[TopicPartition(record.topic, number)].append(index)
        await self._check_leaders({t: its for t, its in indexes.items() if t.topic in foreign})
        return {
            target: self._encode(target, records, its, limits.get(target.topic))
            for target, its in indexes.items()
        }

    async def _check_leaders(self, targets: Mapping[TopicPartition, Sequence[int]]) -> None:
        """Raises `RecordsRefusedError` for targets that have had no leader for some seconds.

        Before a transaction begins: it could not end while one of its partitions has no leader.
        """
        wait = self._client.foreign_topics.wait_for_leader
        problems = await run_concurrently(wait(target) for target in targets)
        refused = {
            index: missing(target.topic, problem)
            for (target, its), problem in zip(targets.items(), problems, strict=True)
            if problem
            for index in its
        }
        if refused:
            raise RecordsRefusedError(refused, {})

    def _encode(
        self,
        target: TopicPartition,
        records: Sequence[OutputRecord],
        indexes: Sequence[int],
        limit: int | None,
    ) -> TargetBatches:
        """`limit` is that of a foreign topic."""
        numbered = self._producer != NO_PRODUCER
        sequence = self._sequences[target] if numbered else _NO_SEQUENCE
        size = min(BATCH_BYTES, self._limits[target.topic] if limit is None else limit)
        batches = build_batches(
            [records[index] for index in indexes],
            (*self._producer, sequence),
            0 if target.topic in self._unbatched else size,
            self._compression,
            transactional=self._transactional_id is not None,
        )
        if numbered:
            self._sequences[target] = next_sequence(sequence, len(indexes))
        return TargetBatches(batches, indexes, foreign=limit is not None)

    async def send(
        self, targets: Mapping[TopicPartition, TargetBatches], *, deadline: float | None = None
    ) -> dict[int, Receipt]:
        """Send to all targets side by side, each one's batches in their order. Returns the receipt
        of each record by its index.

        Raises `RecordsRefusedError` once every target has answered; `ThrottledError` if the brokers
        throttle a connection beyond `deadline` (monotonic time in seconds); `KafkaError`.
        """
        results = await run_concurrently(
            self._send(target, parts, deadline) for target, parts in targets.items()
        )
        acknowledged = {index: each for taken, _ in results for index, each in taken.items()}
        if any(refusals is not None for _, refusals in results):
            raise RecordsRefusedError(
                {index: why for _, refusals in results for index, why in (refusals or {}).items()},
                acknowledged,
            )
        return acknowledged

    async def check_refused(
        self,
        targets: Mapping[TopicPartition, TargetBatches],
        refused: Mapping[TopicPartition, int],
        *,
        last: bool,
    ) -> None:
        """A coordinator has answered these error codes for targets of foreign topics.

        Raises `RecordsRefusedError` unless the request may succeed when it is repeated: other
        brokers know the topic, and this was not the `last` try.
        """
        refusals: dict[int, Refusal] = {}
        for target, code in refused.items():
            self._client.foreign_topics.forget(target.topic)
            found = await self._client.foreign_topics.find(target.topic)
            problem = found.problem_with(target.partition)
            if problem or last or code in FORBIDDEN:
                why = missing(target.topic, problem or for_code(code).description)
                refusals |= dict.fromkeys(targets[target].indexes, why)
        if refusals:
            raise RecordsRefusedError(refusals, {})

    async def _send(
        self, target: TopicPartition, parts: TargetBatches, deadline: float | None
    ) -> tuple[dict[int, Receipt], dict[int, Refusal] | None]:
        """Returns the receipts of what the leader has taken, and what it refuses, or None."""
        first = 0
        taken: dict[int, Receipt] = {}
        final = FOREIGN_FINAL if parts.foreign else REFUSED
        # That the leader has the batch already is a success.
        handled = (*final, DuplicateSequenceNumber.errno)
        # A transaction that ended by its timeout would be repeated, and refuse nothing.
        seconds = min(LEADER_SECONDS, self._timeout_ms / 2000)
        patience = Patience(target.topic, seconds) if parts.foreign else None
        for batch in parts.batches:
            began = time.time_ns()
            # A repetition has the same sequence numbers, so the leader recognises the batch.
            try:
                response = await self._client.send_to_leader(
                    target,
                    ProduceRequest(self._transactional_id, self._timeout_ms, target, batch.data),
                    lambda response: _errors(response, handled, patience),
                    connection=self.connection,
                    deadline=deadline,
                    foreign=parts.foreign,
                )
            except ForeignTopicError as error:
                why = missing(target.topic, error.problem)
                return taken, dict.fromkeys(parts.indexes[first:], why)
            (answer,) = _answers(response)
            if answer[1] in FORBIDDEN:
                self._client.foreign_topics.forget(target.topic)
            of_batch = parts.indexes[first : first + batch.count]
            if answer[1] in final:
                return taken, self._refusals(target, of_batch, answer, parts.foreign)
            taken |= receipts(of_batch, target.partition, answer[2], began)
            first += batch.count
        return taken, None

    def _refusals(
        self,
        target: TopicPartition,
        indexes: Sequence[int],
        answer: Sequence[Any],
        foreign: bool,
    ) -> dict[int, Refusal]:
        _, code, *more = answer
        # Fields of version 8: offset, timestamp, log start, errors by record, error of the batch.
        by_record, of_batch = more[3:5] if len(more) >= 5 else ([], None)
        error = for_code(code)
        if code == InvalidTimestampError.errno and not foreign:
            words = [text for _, text in by_record if text] or [of_batch or error.description]
            raise InvalidTimestampError(
                f"{target.topic} refuses this machine's timestamps: {words[0]}. Set the clock of "
                f"this machine or of the brokers, or the topic's message.timestamp.after.max.ms "
                f"and message.timestamp.before.max.ms"
            )
        named = {index: text for index, text in by_record if 0 <= index < len(indexes)}
        if code not in REFUSED:
            named = dict.fromkeys(range(len(indexes)))
        elif not named and len(indexes) == 1:
            named = {0: None}
        if not named:
            self._unbatched.add(target.topic)
        return {
            indexes[index]: Refusal(
                target.topic,
                protocol_name(error),
                text or of_batch or error.description,
                code in TOO_LARGE,
                missing=code in FORBIDDEN,
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


def _errors(response: Any, handled: Collection[int], patience: Patience | None) -> list[int]:
    """The error codes but those in `handled`. Raises `ForeignTopicError` if patience ends."""
    codes = [answer[1] for answer in _answers(response) if answer[1] not in handled]
    if patience is not None:
        patience.check(code for code in codes if code)
    return codes
