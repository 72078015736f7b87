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

pytestmark = pytest.mark.asyncio(loop_scope="package")


def fault(number: int, kind: Kind, *, seconds: float = 0.0, point: str = "") -> Fault:
    return Fault(number, kind, 1.0, seconds, number % 3, number % 3, point, chance=0.5)


MAIN_KINDS = [
    fault(0, Kind.KILL),
    fault(1, Kind.CUT, seconds=2.0),
    fault(2, Kind.PAUSE, seconds=3.0),
    fault(3, Kind.GROUP_COORDINATOR, seconds=1.0),
    fault(4, Kind.KILL_AT, point="batch"),
    fault(5, Kind.JOIN, seconds=0.5),
    fault(6, Kind.BLACK_HOLE, seconds=2.5),
    fault(7, Kind.SMALL_LIMIT, seconds=1.0),
    fault(8, Kind.TRANSACTION_COORDINATOR, seconds=1.0),
]

# A fence is for paused workers that believe to be owners still; offsets within the transaction are
# for those that end right after it.
TELLING = {
    "no_fence": [fault(number, Kind.PAUSE, seconds=2.5) for number in range(6)],
    "no_offsets": [fault(number, Kind.KILL_AT, point="ended") for number in range(3)],
}


async def play(
    cluster: Cluster, logs: Path, faults: list[Fault], delivery: str, sabotage: str | None = None
) -> Round:
    plan = Plan(delivery, "stub", rate=100.0, questions=500, sabotage=sabotage, logs=logs)
    played = await run_round(cluster, plan, faults, lambda: None)
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
