"""One round: new topics, workers, traffic and faults; then a drain, and the check."""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka.errors import KafkaError

from tests.faults import evidence
from tests.faults.checker import Report, check
from tests.faults.cluster import Cluster
from tests.faults.evidence import Names
from tests.faults.faults import inject, target
from tests.faults.faulty_worker import ENGINE
from tests.faults.sabotage import SABOTAGE
from tests.faults.schedule import GUEST_SLOT, Fault
from tests.faults.traffic import Traffic
from tests.faults.workers import Worker
from tests.faults.world import World

PARTITIONS = 6
"""Of all questions topics together."""

DRAIN_SECONDS = 90.0
"""From the end of the last fault to lag 0: several sessions, requests and backoffs of up to 6 s
each, and the backlog. Less than QA_STALL_SECONDS, so that a hung worker is reported as hung."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What all rounds of a run share. `rate` is in questions per second."""

    delivery: str
    engine: str
    """`stub` or `model`."""
    rate: float
    questions: int
    """Minimum that a round sends. Its traffic lasts at least as long as its faults."""
    sabotage: str | None
    logs: Path


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault that was injected and removed."""

    fault: Fault
    outcome: str
    seconds: float
    """From injection to removal."""


@dataclass(frozen=True, slots=True)
class Round:
    report: Report
    injected: list[InjectedFault]
    exits: list[str]
    """Workers that exited by themselves and were restarted."""
    log_errors: list[str]
    """Unhandled errors and leaks in the logs of the workers."""
    drained_after: float
    """Seconds from the end of the faults and the traffic to lag 0."""


async def run_round(
    cluster: Cluster,
    plan: Plan,
    faults: Sequence[Fault],
    tick: Callable[[], None],
    *,
    assignor: str,
    topics: int,
    static: Collection[int] = (),
) -> Round:
    """`tick` is called after each fault; `topics` is the number of questions topics, 1 or 2.
    `static`: slots whose workers are static members.
    """
    suffix = uuid.uuid4().hex[:8]
    names = Names(
        f"questions-{suffix}",
        f"answers-{suffix}",
        f"dead-{suffix}",
        f"group-{suffix}",
        PARTITIONS // topics,
        f"batch-{suffix}" if topics == 2 else None,
    )
    created = (*names.question_topics, names.answers, names.dead_letters)
    await cluster.create_topics(*created, partitions=names.partitions)
    workers = [
        Worker(
            slot,
            {
                **_environment(cluster, plan, names, slot),
                "KAFKA_PARTITION_ASSIGNMENT_STRATEGY": assignor,
                **({"KAFKA_GROUP_INSTANCE_ID": f"slot-{slot}"} if slot in static else {}),
            },
            plan.logs / f"{suffix}-{slot}.log",
        )
        for slot in range(GUEST_SLOT + 1)
    ]
    world = World(cluster, names, workers, plan.delivery)
    traffic = Traffic(cluster.servers, names.question_partitions, plan.rate)
    hung: list[str] = []
    try:
        for worker in workers[:GUEST_SLOT]:
            worker.start()
        await asyncio.gather(*(worker.ready() for worker in workers[:GUEST_SLOT]))
        injecting = asyncio.create_task(_inject_all(world, faults, tick))
        asking = asyncio.create_task(
            traffic.run(lambda: injecting.done() and traffic.sent >= plan.questions)
        )
        injected, _ = await asyncio.gather(injecting, asking)
        drained_after = await _drain(cluster, names)
        if drained_after is None:
            hung.append(f"lag after {DRAIN_SECONDS:g} s")
    finally:
        hung += [p for p in await asyncio.gather(*(w.stop() for w in workers)) if p]
    found = await evidence.gather(cluster, names, world.deleted)
    await cluster.delete_topics(*created)
    return Round(
        check(found, traffic.acknowledged, delivery=plan.delivery, hung=hung),
        injected,
        [ended for worker in workers for ended in worker.exits],
        [line for worker in workers if worker.starts for line in worker.log_errors()],
        drained_after or DRAIN_SECONDS,
    )


def _environment(cluster: Cluster, plan: Plan, names: Names, slot: int) -> Mapping[str, str]:
    return {
        ENGINE: plan.engine,
        **({SABOTAGE: plan.sabotage} if plan.sabotage else {}),
        "KAFKA_BOOTSTRAP_SERVERS": cluster.servers_of(slot),
        "KAFKA_GROUP_ID": names.group,
        "KAFKA_CLIENT_ID": f"slot-{slot}",
        "QA_QUESTIONS_TOPICS": ",".join(
            f"{topic}:{weight}"
            for topic, weight in zip(names.question_topics, (8, 1), strict=False)
        ),
        "QA_ANSWERS_TOPIC": names.answers,
        "QA_DEAD_LETTERS_TOPIC": names.dead_letters,
        "QA_DELIVERY": plan.delivery,
        # Timeouts are about a tenth of their defaults, so that a fault takes seconds.
        "QA_COMMIT_INTERVAL_MS": "100",
        "KAFKA_SESSION_TIMEOUT_MS": "1500",
        "KAFKA_HEARTBEAT_INTERVAL_MS": "300",
        "QA_DRAIN_SECONDS": "2",
        "KAFKA_REBALANCE_TIMEOUT_MS": "5000",
        "KAFKA_REQUEST_TIMEOUT_MS": "6000",
        "QA_SHUTDOWN_SECONDS": "20",
        "QA_THREADS": "1",
        "QA_HTTP_HOST": "127.0.0.1",
        "QA_HTTP_PORT": "0",
        "QA_LOG_FORMAT": "json",
    }


async def _inject_all(
    world: World, faults: Sequence[Fault], tick: Callable[[], None]
) -> list[InjectedFault]:
    """Start each fault at its time, or when its target is free. Faults of other targets overlap."""
    free: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def one(fault: Fault) -> InjectedFault:
        async with free[target(fault)]:
            began = time.monotonic()
            outcome = await inject(world, fault)
        tick()
        return InjectedFault(fault, outcome, time.monotonic() - began)

    running = []
    for fault in faults:
        await asyncio.sleep(fault.pause)
        running.append(asyncio.create_task(one(fault)))
    return await asyncio.gather(*running)


async def _drain(cluster: Cluster, names: Names) -> float | None:
    """Seconds until everything is committed; `None` after DRAIN_SECONDS."""
    began = time.monotonic()
    while time.monotonic() - began < DRAIN_SECONDS:
        with suppress(KafkaError, OSError):
            ends = await evidence.end_offsets(cluster, names)
            committed = await evidence.group_offsets(cluster, names)
            if all((committed.get(partition) or 0) == end for partition, end in ends.items()):
                return time.monotonic() - began
        await asyncio.sleep(0.2)
    return None
