"""Topics of one test on a shared broker: creates them, sends to them and reads them."""

import asyncio
import functools
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.rejection import Header
from tests.streaming.tailing_reader import TailingReader
from worker.kafka.topics import create_topics, describe_topics
from worker.settings import Settings
from worker.settings.environment import load

TIMEOUT_SECONDS = 30.0
"""A condition that is not true after this time is a failure. Long enough for two busy cores."""


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until `condition` is true. Raises `AssertionError` with `what` after TIMEOUT_SECONDS."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < TIMEOUT_SECONDS:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return
        # A question to a broker or to a log takes processor time from what the test waits for:
        # the longer that takes, the rarer are the questions.
        await asyncio.sleep(min(max(0.02, waited / 10), 0.25))
    raise AssertionError(f"not within {TIMEOUT_SECONDS:g} s: {what}")


def event(number: int, **more: Any) -> bytes:
    """A question event whose text names it."""
    return json.dumps(
        {
            "id": f"q-{number}",
            "question": f"Who is number {number}?",
            "context": f"Person{number} lives here.",
            **more,
        }
    ).encode()


@functools.cache
def _load(environment: frozenset[tuple[str, str]]) -> Settings:
    return load(dict(environment))


@dataclass
class Topics:
    """Three fresh topics, a group, and clients that read them.

    `async with Topics(...) as topics` closes the clients. `create` and `send` work without it.
    """

    servers: str
    environment: dict[str, str] = field(default_factory=dict)
    partitions: int = 2
    _entered: bool = field(default=False, init=False, repr=False)
    _reader: TailingReader | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        mark = uuid.uuid4().hex[:8]
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "KAFKA_GROUP_ID": f"group-{mark}",
            "QA_QUESTIONS_TOPIC": f"questions-{mark}",
            "QA_ANSWERS_TOPIC": f"answers-{mark}",
            "QA_DEAD_LETTERS_TOPIC": f"dead-{mark}",
            "QA_COMMIT_INTERVAL_MS": "50",
            # A member hears of a rebalance with its next heartbeat.
            "KAFKA_HEARTBEAT_INTERVAL_MS": "200",
            "QA_HTTP_HOST": "127.0.0.1",
            "QA_HTTP_PORT": "0",
            # Each thread runs the model's largest batch at its start.
            "QA_THREADS": "1",
            **self.environment,
        }

    async def __aenter__(self) -> Self:
        self._entered = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._entered = False
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()

    @property
    def settings(self) -> Settings:
        return _load(frozenset(self.environment.items()))

    def with_(self, **environment: str) -> Settings:
        return load({**self.environment, **environment})

    async def create(self) -> None:
        await create_topics(self.settings, partitions=self.partitions, replication=1)

        async def described() -> bool:
            return all(each.partitions for each in await describe_topics(self.settings))

        # The response comes from the controller; a busy broker describes the topics later.
        await until(described, "the broker describes the topics")

    def all_partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions)]

    async def send(
        self,
        values: Sequence[bytes | None],
        *,
        partition: int | None = None,
        key: bytes | None = b"k",
        headers: Sequence[Header] = (),
    ) -> list[Any]:
        """Publish to the questions topic; round robin over partitions, or all to one."""
        topic = self.settings.qa.questions_topic
        async with AIOKafkaProducer(
            bootstrap_servers=self.servers, max_request_size=16 * 2**20
        ) as producer:
            sent = [
                await producer.send(
                    topic,
                    value,
                    key=key,
                    partition=number % self.partitions if partition is None else partition,
                    headers=list(headers),
                )
                for number, value in enumerate(values)
            ]
            return [await future for future in sent]

    async def records(self, topic: str) -> list[Any]:
        """All committed records of a topic, one partition after the other, up to its end at this
        moment; waits for the markers of transactions that are about to end.
        """
        return await self._open_reader().records(self.all_partitions(topic))

    async def ends(self) -> dict[int, int]:
        """Partition of the questions topic to the offset of its next record."""
        partitions = self.all_partitions(self.settings.qa.questions_topic)
        ends = await self._open_reader().ends(partitions)
        return {partition.partition: end for partition, end in ends.items()}

    async def answers(self) -> list[Any]:
        return await self.records(self.settings.qa.answers_topic)

    async def dead_letters(self) -> list[Any]:
        return await self.records(self.settings.qa.dead_letters_topic)

    async def has(self, count: int) -> bool:
        """Whether the answers topic holds at least `count` answers."""
        return len(await self.answers()) >= count

    async def ids(self) -> list[str]:
        return [json.loads(record.value)["id"] for record in await self.answers()]

    async def committed(self) -> dict[int, int | None]:
        """Partition of the questions topic to the group's committed offset."""
        reader = self._open_reader()
        return {
            partition.partition: await reader.committed(partition)
            for partition in self.all_partitions(self.settings.qa.questions_topic)
        }

    async def committed_are(self, expected: Mapping[int, int | None]) -> None:
        """Wait until the group's committed offsets are these."""

        async def equal() -> bool:
            return await self.committed() == expected

        await until(equal, f"offsets {expected} committed")

    def _open_reader(self) -> TailingReader:
        assert self._entered, "read topics inside of `async with topics`, which closes the clients"
        if self._reader is None:
            self._reader = TailingReader(self.servers, self.settings.kafka)
        return self._reader
