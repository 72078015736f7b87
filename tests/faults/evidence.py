"""What is on the brokers when a round is over: records, offsets, transactions. Reads only.

Plain values come out, for the checker to judge.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.rejection import PREFIX, REASON
from tests.faults.cluster import OFFSETS_PARTITIONS, PATIENCE_SECONDS, Cluster
from tests.faults.traffic import NUMBER

Place = tuple[int, int]
"""Partition and offset of a question."""

Isolation = Literal["read_committed", "read_uncommitted"]

_SETTLE_TRIES = 15
"""At 0.2 s: brokers answer the end of a transaction before all partitions have its marker."""


@dataclass(frozen=True, slots=True)
class Names:
    """The topics of a round, their partitions, and the workers' group."""

    questions: str
    answers: str
    dead_letters: str
    group: str
    partitions: int

    def all_of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer or a dead letter. `place` is that of its question."""

    place: Place
    partition: int
    """Where it lies itself, in the order of the list that it is in."""
    said: str
    """The answer, or the dead letter's reason."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All that one kind of reader sees."""

    answers: list[Outcome]
    dead_letters: list[Outcome]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Offsets are by partition of the questions topic."""

    questions: dict[Place, int]
    """To their numbers, as they lie on the topic."""
    committed: Outcomes
    uncommitted: Outcomes
    group_offsets: dict[int, int | None]
    end_offsets: dict[int, int]
    open_transactions: list[str]
    """Partitions whose last stable offset is before their end."""


async def gather(cluster: Cluster, names: Names) -> Evidence:
    """Raises `TimeoutError` where the brokers do not let themselves be read."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        # Ended transactions first: what they committed is to be read.
        open_transactions = await _open_transactions_after_a_while(cluster, names)
        questions = await _read(cluster, names.all_of(names.questions), "read_uncommitted")
        return Evidence(
            questions={(r.partition, r.offset): int(dict(r.headers)[NUMBER]) for r in questions},
            committed=await _outcomes(cluster, names, "read_committed"),
            uncommitted=await _outcomes(cluster, names, "read_uncommitted"),
            group_offsets=await group_offsets(cluster, names),
            end_offsets=await end_offsets(cluster, names),
            open_transactions=open_transactions,
        )


async def group_offsets(cluster: Cluster, names: Names) -> dict[int, int | None]:
    """What the group has committed. Raises `KafkaError`."""
    async with cluster.admin() as admin:
        return await _group_offsets(admin, names)


async def end_offsets(cluster: Cluster, names: Names) -> dict[int, int]:
    """Where the questions end. Raises `KafkaError`."""
    async with AIOKafkaConsumer(bootstrap_servers=cluster.servers) as consumer:
        ends = await consumer.end_offsets(names.all_of(names.questions))
    return {partition.partition: end for partition, end in ends.items()}


async def _group_offsets(admin: AIOKafkaAdminClient, names: Names) -> dict[int, int | None]:
    found = await admin.list_consumer_group_offsets(
        names.group, partitions=names.all_of(names.questions)
    )
    return {
        partition.partition: None if entry.offset < 0 else entry.offset
        for partition, entry in found.items()
    }


async def _outcomes(cluster: Cluster, names: Names, isolation: Isolation) -> Outcomes:
    answers = await _read(cluster, names.all_of(names.answers), isolation)
    letters = await _read(cluster, names.all_of(names.dead_letters), isolation)
    return Outcomes(
        [_answer(record) for record in answers], [_letter(record) for record in letters]
    )


def _answer(record: ConsumerRecord[bytes, bytes]) -> Outcome:
    value = json.loads(record.value)
    place = (value["source"]["partition"], value["source"]["offset"])
    return Outcome(place, record.partition, value["answer"])


def _letter(record: ConsumerRecord[bytes, bytes]) -> Outcome:
    headers: dict[str, Any] = {name: text.decode() for name, text in record.headers}
    place = (int(headers[f"{PREFIX}partition"]), int(headers[f"{PREFIX}offset"]))
    return Outcome(place, record.partition, headers[REASON])


async def _read(
    cluster: Cluster, partitions: list[TopicPartition], isolation: Isolation
) -> list[ConsumerRecord[bytes, bytes]]:
    """All records, in order within a partition, up to the end as it is for such a reader."""
    async with AIOKafkaConsumer(
        bootstrap_servers=cluster.servers, isolation_level=isolation, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(partitions)
        found: list[ConsumerRecord[bytes, bytes]] = []
        for partition, end in (await consumer.end_offsets(partitions)).items():
            # Markers of transactions take offsets, too: the position tells, not the count.
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
    # A transaction's offsets wait for its end beside everybody's offsets.
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
