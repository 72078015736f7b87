"""Reads what the brokers hold after a round: records, offsets and open transactions.

Returns plain values for the checker.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.rejection import PREFIX, REASON
from tests.faults.cluster import OFFSETS_PARTITIONS, TIMEOUT_SECONDS, Cluster
from tests.faults.questions import answer_with_id
from tests.faults.traffic import NUMBER
from worker.kafka._aiokafka_records import RecordConsumer

Position = tuple[int, int]
"""Index of a question's partition in `Names.question_partitions`, and its offset."""

Isolation = Literal["read_committed", "read_uncommitted"]

_MAX_BATCH_BYTES = 16 * 1024 * 1024

_SETTLE_TRIES = 15
"""Every 0.2 s: brokers answer EndTxn before all partitions have the marker."""


@dataclass(frozen=True, slots=True)
class Names:
    """Topics of a round, their number of partitions, and the workers' group."""

    questions: str
    answers: str
    dead_letters: str
    group: str
    partitions: int
    more_questions: str | None = None
    """A second questions topic."""

    @property
    def question_topics(self) -> list[str]:
        more = () if self.more_questions is None else (self.more_questions,)
        return [self.questions, *more]

    @property
    def question_partitions(self) -> list[TopicPartition]:
        """Of all questions topics. A `Position` has the index in this list as its partition."""
        return [each for topic in self.question_topics for each in self.all_of(topic)]

    def index(self, topic: str, partition: int) -> int:
        """Of a partition in `question_partitions`."""
        return self.question_topics.index(topic) * self.partitions + partition

    def all_of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer or a dead letter. `position` is that of its question."""

    position: Position
    partition: int
    """The output partition; lists of outcomes are in its order."""
    result: str
    """The answer with its id, or the dead letter's reason."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a consumer with one isolation level sees."""

    answers: list[Outcome]
    dead_letters: list[Outcome]


@dataclass(frozen=True, slots=True)
class Deleted:
    """Questions that a fault deleted from their topic."""

    questions: dict[Position, int] = field(default_factory=dict)
    """Position to number."""
    unread: set[Position] = field(default_factory=set)
    """Those that lay behind the group's offset. They may have an outcome, or none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Offsets are keyed by the index of a partition in `Names.question_partitions`."""

    questions: dict[Position, int]
    """Position to number, as on the topic, deleted ones included."""
    committed: Outcomes
    uncommitted: Outcomes
    group_offsets: dict[int, int | None]
    end_offsets: dict[int, int]
    open_transactions: list[str]
    """Partitions whose last stable offset lies before their end."""
    unread: frozenset[Position] = frozenset()
    """Questions that were deleted, perhaps before a worker read them."""


async def gather(cluster: Cluster, names: Names, deleted: Deleted) -> Evidence:
    """Raises `TimeoutError` if the brokers do not answer."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        # Wait for ending transactions first: their records are part of the evidence.
        open_transactions = await _open_transactions_after_a_while(cluster, names)
        questions = await read_questions(cluster, names, names.question_partitions)
        return Evidence(
            questions={**deleted.questions, **questions},
            committed=await _outcomes(cluster, names, "read_committed"),
            uncommitted=await _outcomes(cluster, names, "read_uncommitted"),
            group_offsets=await group_offsets(cluster, names),
            end_offsets=await end_offsets(cluster, names),
            open_transactions=open_transactions,
            unread=frozenset(deleted.unread),
        )


async def read_questions(
    cluster: Cluster, names: Names, partitions: list[TopicPartition]
) -> dict[Position, int]:
    """The numbers of the questions in these partitions, by position. Raises `KafkaError`."""
    records = await _read(cluster, partitions, "read_uncommitted")
    return {
        (names.index(r.topic, r.partition), r.offset): int(dict(r.headers)[NUMBER]) for r in records
    }


async def group_offsets(cluster: Cluster, names: Names) -> dict[int, int | None]:
    """The group's committed offsets. Raises `KafkaError`."""
    async with cluster.admin() as admin:
        return await _group_offsets(admin, names)


async def end_offsets(cluster: Cluster, names: Names) -> dict[int, int]:
    """The end offsets of the questions topics. Raises `KafkaError`."""
    async with AIOKafkaConsumer(bootstrap_servers=cluster.servers) as consumer:
        ends = await consumer.end_offsets(names.question_partitions)
    return {names.index(*partition): end for partition, end in ends.items()}


async def _group_offsets(admin: AIOKafkaAdminClient, names: Names) -> dict[int, int | None]:
    found = await admin.list_consumer_group_offsets(
        names.group, partitions=names.question_partitions
    )
    return {
        names.index(*partition): None if entry.offset < 0 else entry.offset
        for partition, entry in found.items()
    }


async def _outcomes(cluster: Cluster, names: Names, isolation: Isolation) -> Outcomes:
    answers = await _read(cluster, names.all_of(names.answers), isolation)
    dead_letters = await _read(cluster, names.all_of(names.dead_letters), isolation)
    return Outcomes(
        [_answer(names, record) for record in answers],
        [_dead_letter(names, record) for record in dead_letters],
    )


def _answer(names: Names, record: ConsumerRecord[bytes, bytes]) -> Outcome:
    value = json.loads(record.value)
    source = value["source"]
    position = (names.index(source["topic"], source["partition"]), source["offset"])
    return Outcome(position, record.partition, answer_with_id(value["id"], value["answer"]))


def _dead_letter(names: Names, record: ConsumerRecord[bytes, bytes]) -> Outcome:
    headers: dict[str, Any] = {name: text.decode() for name, text in record.headers}
    index = names.index(headers[f"{PREFIX}topic"], int(headers[f"{PREFIX}partition"]))
    position = (index, int(headers[f"{PREFIX}offset"]))
    return Outcome(position, record.partition, headers[REASON])


async def _read(
    cluster: Cluster, partitions: list[TopicPartition], isolation: Isolation
) -> list[ConsumerRecord[bytes, bytes]]:
    """All records, in order within a partition, up to the end offset at this isolation level."""
    async with RecordConsumer(
        bootstrap_servers=cluster.servers,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        max_batch_bytes=_MAX_BATCH_BYTES,
        skip_unreadable=False,
    ) as consumer:
        consumer.assign(partitions)
        found: list[ConsumerRecord[bytes, bytes]] = []
        for partition, end in (await consumer.end_offsets(partitions)).items():
            # Transaction markers use offsets too, so compare positions and not counts.
            while await consumer.position(partition) < end:
                fetched = await consumer.getmany(partition, timeout_ms=200)
                found += fetched.get(partition, [])
        return found


async def _open_transactions_after_a_while(cluster: Cluster, names: Names) -> list[str]:
    for _ in range(_SETTLE_TRIES):
        found = await _open_transactions(cluster, names)
        if not found:
            break
        await asyncio.sleep(0.2)
    return found


async def _open_transactions(cluster: Cluster, names: Names) -> list[str]:
    # Offsets of an open transaction are in the partitions of all groups' offsets.
    offsets = [TopicPartition("__consumer_offsets", n) for n in range(OFFSETS_PARTITIONS)]
    partitions = [*names.all_of(names.answers), *names.all_of(names.dead_letters), *offsets]
    ends = {}
    for isolation in get_args(Isolation):
        async with AIOKafkaConsumer(
            bootstrap_servers=cluster.servers, isolation_level=isolation
        ) as consumer:
            ends[isolation] = await consumer.end_offsets(partitions)
    return [
        f"{partition.topic}-{partition.partition}"
        for partition in partitions
        if ends["read_committed"][partition] < ends["read_uncommitted"][partition]
    ]
