"""The short form of the fault suite: a few faults of the main kinds in both delivery modes, and
sabotaged workers that the checker must detect. `make faults` is the long form.
"""

from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.failpoints import POINTS
from tests.faults.rounds import Plan, Round, run_round
from tests.faults.sabotage import SABOTAGES
from tests.faults.schedule import Fault, Kind
from tests.faults.world import DONE

pytestmark = [
    pytest.mark.alone,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.process,
]


def fault(
    slot: int, kind: Kind, *, seconds: float = 0.0, point: str = "", chance: float = 0.5
) -> Fault:
    return Fault(0, kind, 0.5, seconds, slot, slot, point, chance)


MAIN_KINDS = [
    fault(0, Kind.KILL),
    fault(1, Kind.CUT, seconds=1.0),
    fault(2, Kind.PAUSE, seconds=2.5),
    fault(0, Kind.GROUP_COORDINATOR, seconds=0.5),
    fault(0, Kind.KILL_AT, point="batch", chance=0.2),
    fault(1, Kind.BLACK_HOLE, seconds=2.5),
    fault(0, Kind.SMALL_LIMIT, seconds=1.0),
    fault(0, Kind.TRANSACTION_COORDINATOR, seconds=0.5),
    fault(0, Kind.POISON_HEADER),
    fault(0, Kind.DELETE_RECORDS),
    fault(2, Kind.CORRUPT_BATCH),
]

# A fence matters for a worker that was suspended with answers in flight; offsets in the transaction
# matter for a worker that dies right after it. Both at the first transaction.
REVEALING = {
    "no_fence": [fault(0, Kind.PAUSE_AT, seconds=4.0, point="beginning", chance=0.0)],
    "no_offsets": [fault(0, Kind.KILL_AT, point="ended", chance=0.0)],
}


async def run(
    cluster: Cluster, logs: Path, faults: list[Fault], delivery: str, sabotage: str | None = None
) -> Round:
    # A sabotage shows in one transaction; chance has to find what the main faults could break.
    rate, questions = (20.0, 50) if sabotage else (50.0, 600)
    plan = Plan(delivery, "stub", rate, questions, sabotage, logs)
    assignor = "range" if delivery == "at_least_once" else "roundrobin"
    static = () if sabotage else (0, 2)
    result = await run_round(
        cluster, plan, faults, lambda: None, assignor=assignor, topics=2, static=static
    )
    print(f"\n{delivery}, {sabotage or 'no sabotage'}: {result.report}, exits: {result.exits}")
    return result


@pytest.mark.parametrize("delivery", POINTS)
async def test_main_faults_break_no_guarantee(
    cluster: Cluster, tmp_path: Path, delivery: str
) -> None:
    result = await run(cluster, tmp_path, MAIN_KINDS, delivery)

    assert result.report.findings == {}
    assert result.report.questions >= 500
    assert [each.outcome for each in result.injected] == [DONE] * len(MAIN_KINDS)


@pytest.mark.parametrize("sabotage", SABOTAGES)
async def test_checker_detects_sabotage(cluster: Cluster, tmp_path: Path, sabotage: str) -> None:
    result = await run(cluster, tmp_path, REVEALING[sabotage], "exactly_once", sabotage)

    assert "duplicated" in result.report.findings
