"""The suite's short form: one cluster, a few faults of the main kinds, each delivery, and that
the checker catches a worker that was taken apart. `make faults` is the long one.
"""

from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.failpoints import POINTS
from tests.faults.faults import DONE
from tests.faults.rounds import Plan, Round, run_round
from tests.faults.sabotage import SABOTAGES
from tests.faults.schedule import Fault, Kind

pytestmark = pytest.mark.process

pytestmark = pytest.mark.asyncio(loop_scope="package")


def fault(
    slot: int, kind: Kind, *, seconds: float = 0.0, point: str = "", pause: float = 0.5
) -> Fault:
    return Fault(0, kind, pause, seconds, slot, slot, point, chance=0.5)


MAIN_KINDS = [
    fault(0, Kind.KILL),
    fault(1, Kind.CUT, seconds=1.0),
    fault(2, Kind.PAUSE, seconds=2.5),
    fault(0, Kind.GROUP_COORDINATOR, seconds=0.5),
    fault(0, Kind.KILL_AT, point="batch"),
    fault(1, Kind.BLACK_HOLE, seconds=2.5),
    fault(0, Kind.SMALL_LIMIT, seconds=1.0),
    fault(0, Kind.TRANSACTION_COORDINATOR, seconds=0.5),
]

# A fence is for a worker that was away, with answers in its hands; offsets within the transaction
# are for one that ends right after it.
TELLING = {
    "no_fence": [fault(0, Kind.PAUSE_AT, seconds=4.0, point="beginning")],
    "no_offsets": [fault(slot, Kind.KILL_AT, point="ended") for slot in range(2)],
}


async def play(
    cluster: Cluster, logs: Path, faults: list[Fault], delivery: str, sabotage: str | None = None
) -> Round:
    plan = Plan(delivery, "stub", rate=100.0, questions=500, sabotage=sabotage, logs=logs)
    assignor = "range" if delivery == "at_least_once" else "roundrobin"
    played = await run_round(cluster, plan, faults, lambda: None, assignor=assignor)
    print(f"\n{delivery}, {sabotage or 'whole'}: {played.report}, exits: {played.exits}")
    return played


@pytest.mark.parametrize("delivery", POINTS)
async def test_faults_of_the_main_kinds_break_no_promise(
    cluster: Cluster, tmp_path: Path, delivery: str
) -> None:
    played = await play(cluster, tmp_path, MAIN_KINDS, delivery)

    assert played.report.findings == {}
    assert played.report.questions >= 500
    assert [each.outcome for each in played.happened] == [DONE] * len(MAIN_KINDS)


@pytest.mark.parametrize("sabotage", SABOTAGES)
async def test_the_checker_catches_a_worker_taken_apart(
    cluster: Cluster, tmp_path: Path, sabotage: str
) -> None:
    played = await play(cluster, tmp_path, TELLING[sabotage], "exactly_once", sabotage)

    assert "duplicated" in played.report.findings
