"""One outage of the registry while questions arrive, with a worker process on Kafka.

Partition 0 gets plain JSON, partition 1 Avro with one schema, partitions 2 and 3 Avro with a new
schema every few questions.
"""

import asyncio
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from tests.schema_registry import framed_values as framed
from tests.schema_registry.faulty_registry import Fault, FaultyRegistry, faulty_registry
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess

PROGRAM = ("tests.schema_registry.stub_worker",)
PARTITIONS = 4
NEW_SCHEMAS = 2, 3
"""Partitions that get new schemas."""
PER_SECOND = 40
"""Questions, over all partitions."""
QUESTIONS_EACH = 5
"""With one schema, in a partition of NEW_SCHEMAS."""


@dataclass(frozen=True, slots=True)
class OutageResult:
    sent: int
    lost: int
    repeated: int
    disordered: int
    dead_letters: int
    other_partitions: int
    """Questions of the other partitions that were committed during the outage."""
    waited: int
    """Questions of NEW_SCHEMAS that waited when the registry returned."""
    go_on_seconds: float
    """From the registry's return to the next commit of a partition that waited."""
    caught_up_seconds: float
    """To the commit of all that was sent before the return."""


async def run_outage(
    servers: str, delivery: str, fault: Fault, *, seconds: float, kill_worker: bool
) -> OutageResult:
    """The fault lasts for `seconds`. `kill_worker`: a worker is killed and replaced meanwhile."""
    async with faulty_registry() as registry:
        environment = {
            "QA_DELIVERY": delivery,
            "KAFKA_SESSION_TIMEOUT_MS": "1500",
            "SCHEMA_REGISTRY_URL": registry.url,
            "SCHEMA_REGISTRY_REQUEST_TIMEOUT_MS": "1000",
        }
        async with Topics(servers, environment, partitions=PARTITIONS) as topics:
            await topics.create()
            sender = _Sender(topics, registry)
            async with WorkerProcess(topics.environment, PROGRAM) as worker:
                sending = asyncio.create_task(sender.run())
                try:
                    await until(lambda: _all_move(topics), "all partitions are answered")
                    return await _break(
                        topics, registry, sender, sending, worker, fault, seconds, kill_worker
                    )
                finally:
                    sender.enough.set()
                    await sending


async def _break(
    topics: Topics,
    registry: FaultyRegistry,
    sender: "_Sender",
    sending: "asyncio.Task[None]",
    worker: WorkerProcess,
    fault: Fault,
    seconds: float,
    kill_worker: bool,
) -> OutageResult:
    await registry.begin(fault)
    before = await _committed(topics)
    if kill_worker:
        await asyncio.sleep(seconds / 2)
        worker.kill()
        # A registry that refuses the worker would end its start.
        if fault is Fault.ANSWERS_401:
            registry.fault = Fault.ANSWERS_500
        async with WorkerProcess(topics.environment, PROGRAM) as other:
            await asyncio.sleep(seconds / 2)
            return await _return(topics, registry, sender, sending, other, before)
    await asyncio.sleep(seconds)
    return await _return(topics, registry, sender, sending, worker, before)


async def _return(
    topics: Topics,
    registry: FaultyRegistry,
    sender: "_Sender",
    sending: "asyncio.Task[None]",
    worker: WorkerProcess,
    before: list[int],
) -> OutageResult:
    at_return, sent = await _committed(topics), list(sender.sent)
    returned = time.monotonic()
    await registry.end()

    async def go_on() -> bool:
        now = await _committed(topics)
        return all(now[each] > at_return[each] for each in NEW_SCHEMAS)

    async def caught_up() -> bool:
        now = await _committed(topics)
        return all(now[each] >= sent[each] for each in range(PARTITIONS))

    await until(go_on, "partitions that waited go on")
    went_on = time.monotonic()
    await until(caught_up, "what waited is answered")
    caught = time.monotonic()
    sender.enough.set()
    await sending
    await topics.committed_are(dict(enumerate(sender.sent)))
    assert not worker.events("session_failed")
    numbers = [json.loads(each.value) for each in await topics.answers()]
    ids = Counter(each["id"] for each in numbers)
    by_partition: dict[int, list[int]] = {}
    for each in numbers:
        by_partition.setdefault(each["source"]["partition"], []).append(each["source"]["offset"])
    return OutageResult(
        sent=sum(sender.sent),
        lost=len(sender.ids - ids.keys()),
        repeated=ids.total() - len(ids),
        disordered=sum(
            a > b for offsets in by_partition.values() for a, b in itertools.pairwise(offsets)
        ),
        dead_letters=len(await topics.dead_letters()),
        other_partitions=sum(at_return[each] - before[each] for each in (0, 1)),
        waited=sum(sent[each] - at_return[each] for each in NEW_SCHEMAS),
        go_on_seconds=went_on - returned,
        caught_up_seconds=caught - returned,
    )


class _Sender:
    """Sends numbered questions until `enough`."""

    def __init__(self, topics: Topics, registry: FaultyRegistry) -> None:
        self._topics = topics
        self._registry = registry
        self.enough = asyncio.Event()
        self._schemas: dict[int, int] = {}
        self.sent = [0] * PARTITIONS
        self.ids: set[str] = set()

    async def run(self) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._topics.servers) as producer:
            while not self.enough.is_set():
                await self._send(producer)
                await asyncio.sleep(PARTITIONS / PER_SECOND)

    async def _send(self, producer: AIOKafkaProducer) -> None:
        """One question to each partition."""
        topic = self._topics.settings.qa.questions_topic
        for partition in range(PARTITIONS):
            if partition in NEW_SCHEMAS and self.sent[partition] % QUESTIONS_EACH == 0:
                self._schemas[partition] = self._registry.new_schema()
            number = len(self.ids)
            schema = self._schemas.get(partition, framed.AVRO)
            value = framed.avro(number, schema) if partition else event(number)
            await producer.send_and_wait(topic, value, partition=partition)
            self.sent[partition] += 1
            self.ids.add(f"q-{number}")


async def _committed(topics: Topics) -> list[int]:
    return [offset or 0 for _, offset in sorted((await topics.committed()).items())]


async def _all_move(topics: Topics) -> bool:
    return min(await _committed(topics)) >= QUESTIONS_EACH
