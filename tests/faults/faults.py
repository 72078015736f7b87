"""One function for each kind of fault. It injects the fault, removes it, and returns."""

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.faults import topic_faults
from tests.faults.cluster import NODES, SMALL_DISK_NODE
from tests.faults.failpoints import POINTS
from tests.faults.schedule import GUEST_SLOT, Fault, Kind
from tests.faults.workers import Worker, armed, unopenable
from tests.faults.world import DONE, NOT_REACHED, REACH_SECONDS, SURVIVED, World
from worker.kafka.transactions import transactional_id

_DISK_SECONDS = 20.0
"""For a node to exit because its disk is full."""

_SLOW_BYTES_PER_SECOND = 200_000


async def inject(world: World, fault: Fault) -> str:
    """Inject and remove a fault. Returns `DONE`, or how it failed to happen."""
    return await _EFFECTS[fault.kind](world, fault) or DONE


def target(fault: Fault) -> str:
    """What the fault uses exclusively: faults with the same target run one after another."""
    if fault.kind is Kind.JOIN or fault.kind.startswith(("topic", "quota")):
        return fault.kind
    if fault.kind.startswith("broker"):
        return "brokers"
    return f"slot {fault.slot}"


# Workers.


async def _kill(world: World, fault: Fault) -> None:
    world.workers[fault.slot].kill()


async def _kill_at(world: World, fault: Fault) -> str | None:
    worker = world.workers[fault.slot]
    await worker.restart(**_armed(world, fault, signal.SIGKILL))
    killed = worker.killed
    return await _reached(worker, lambda: worker.killed > killed)


async def _pause_at(world: World, fault: Fault) -> str | None:
    worker = world.workers[fault.slot]
    await worker.restart(**_armed(world, fault, signal.SIGSTOP))
    if not_reached := await _reached(worker, lambda: worker.is_suspended):
        return not_reached
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        worker.resume()
    return None


def _armed(world: World, fault: Fault, sent: signal.Signals) -> dict[str, str]:
    per_second = POINTS[world.delivery][fault.point].passages
    return armed(fault.point, 1 + int(3 * per_second * fault.chance), sent)


async def _pause(world: World, fault: Fault) -> None:
    worker = world.workers[fault.slot]
    worker.suspend()
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        worker.resume()


async def _join(world: World, fault: Fault) -> None:
    guest = world.workers[GUEST_SLOT]
    guest.start()
    with suppress(TimeoutError):  # another fault keeps it out of the group; it leaves anyway
        await guest.ready()
    await asyncio.sleep(fault.seconds)
    if problem := await guest.stop():
        guest.exits.append(problem)


async def _leave(world: World, fault: Fault) -> None:
    await world.workers[fault.slot].restart()


async def _unopenable(world: World, fault: Fault) -> str | None:
    worker = world.workers[fault.slot]
    failures = 1 + int(3 * fault.chance)
    await worker.restart(**unopenable(deliveries=10, failures=failures))
    broken = b'"event": "session_failed"'
    return await _reached(worker, lambda: worker.output().count(broken) > failures)


async def _reached(worker: Worker, condition: Callable[[], bool]) -> str | None:
    """Wait for the armed failpoint. Kills a worker that does not reach it: the failpoint must not
    fire during a later fault.
    """
    try:
        async with asyncio.timeout(REACH_SECONDS):
            while not condition():  # noqa: ASYNC110 - state of another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        worker.kill()
        return NOT_REACHED
    return None


# Network, between one worker and all brokers.


async def _cut(world: World, fault: Fault) -> None:
    for proxy in world.cluster.proxies[fault.slot]:
        proxy.cut()
    await _restore_after(world, fault)


async def _black_hole(world: World, fault: Fault) -> None:
    for proxy in world.cluster.proxies[fault.slot]:
        proxy.stall()
    await _restore_after(world, fault)


async def _half_close(world: World, fault: Fault) -> None:
    for proxy in world.cluster.proxies[fault.slot]:
        proxy.half_close("worker" if fault.chance < 0.5 else "broker")


async def _slow(world: World, fault: Fault) -> None:
    for proxy in world.cluster.proxies[fault.slot]:
        proxy.slow(0.02 + 0.3 * fault.chance, _SLOW_BYTES_PER_SECOND)
    await _restore_after(world, fault)


async def _restore_after(world: World, fault: Fault) -> None:
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        for proxy in world.cluster.proxies[fault.slot]:
            await proxy.restore()


# Brokers.


async def _broker_kill(world: World, fault: Fault) -> None:
    await _kill_node(world, fault, fault.node)


async def _group_coordinator(world: World, fault: Fault) -> None:
    node = await world.cluster.group_coordinator(world.names.group)
    await _kill_node(world, fault, node)


async def _transaction_coordinator(world: World, fault: Fault) -> None:
    names = world.names
    partitions = names.question_partitions
    name = transactional_id(names.group, partitions[int(len(partitions) * fault.chance)])
    node = await world.cluster.transaction_coordinator(name)
    await _kill_node(world, fault, node)


async def _kill_node(world: World, fault: Fault, node: int) -> None:
    kafka = world.cluster.kafka
    await asyncio.to_thread(kafka.kill, node)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        await asyncio.to_thread(kafka.restart, node)


async def _broker_pause(world: World, fault: Fault) -> None:
    kafka = world.cluster.kafka
    kafka.suspend(fault.node)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        kafka.resume(fault.node)


async def _rolling_restart(world: World, fault: Fault) -> None:
    kafka, names = world.cluster.kafka, world.names
    for node in range(NODES):
        await asyncio.to_thread(kafka.terminate, node)
        await asyncio.to_thread(kafka.restart, node)
        await world.cluster.in_sync(*names.question_topics, names.answers, names.dead_letters)


async def _disk_full(world: World, fault: Fault) -> str | None:
    kafka, disk = world.cluster.kafka, world.cluster.disk
    assert disk is not None  # without a disk the schedule leaves this kind out
    await asyncio.to_thread(disk.fill)
    try:
        await asyncio.to_thread(kafka.wait_for_end, SMALL_DISK_NODE, _DISK_SECONDS)
        await asyncio.sleep(fault.seconds)
    except subprocess.TimeoutExpired:
        return SURVIVED
    finally:
        disk.free()
        await asyncio.to_thread(kafka.restart, SMALL_DISK_NODE)
    return None


_EFFECTS: dict[Kind, Callable[[World, Fault], Awaitable[str | None]]] = {
    Kind.KILL: _kill,
    Kind.KILL_AT: _kill_at,
    Kind.PAUSE: _pause,
    Kind.PAUSE_AT: _pause_at,
    Kind.JOIN: _join,
    Kind.LEAVE: _leave,
    Kind.UNOPENABLE: _unopenable,
    Kind.CUT: _cut,
    Kind.BLACK_HOLE: _black_hole,
    Kind.HALF_CLOSE: _half_close,
    Kind.SLOW: _slow,
    Kind.BROKER_KILL: _broker_kill,
    Kind.GROUP_COORDINATOR: _group_coordinator,
    Kind.TRANSACTION_COORDINATOR: _transaction_coordinator,
    Kind.BROKER_PAUSE: _broker_pause,
    Kind.ROLLING_RESTART: _rolling_restart,
    Kind.DISK_FULL: _disk_full,
    Kind.SMALL_LIMIT: topic_faults.small_limit,
    Kind.SMALL_DEAD_LETTERS: topic_faults.small_dead_letters,
    Kind.DELETE_RECORDS: topic_faults.delete_records,
    Kind.QUOTA: topic_faults.quota,
    Kind.POISON_HEADER: topic_faults.poison_header,
    Kind.CORRUPT_BATCH: topic_faults.corrupt_batch,
}
