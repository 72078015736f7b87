"""Properties of schedules for any seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.failpoints import POINTS
from tests.faults.schedule import GUEST_SLOT, STEADY_SLOTS, Fault, Kind, schedule, static_slots

SEEDS = st.integers(min_value=0, max_value=2**32)
DELIVERIES = st.sampled_from(list(POINTS))


def made(seed: int, count: int, delivery: str = "exactly_once", **more: object) -> list[Fault]:
    return schedule(seed, count, delivery=delivery, mean_pause=2.0, **more)  # type: ignore[arg-type]


@given(SEEDS, DELIVERIES)
def test_seed_determines_the_schedule(seed: int, delivery: str) -> None:
    assert made(seed, 40, delivery) == made(seed, 40, delivery)
    assert made(seed, 40, delivery)[:10] == made(seed, 10, delivery)


@given(SEEDS, DELIVERIES)
def test_sixty_faults_contain_every_kind_and_failpoint(seed: int, delivery: str) -> None:
    faults = made(seed, 60, delivery)
    assert {fault.kind for fault in faults} == set(Kind)
    assert {f.point for f in faults if f.kind is Kind.KILL_AT} == set(POINTS[delivery])


@given(SEEDS)
def test_excluded_kind_never_appears(seed: int) -> None:
    faults = made(seed, 100, without=[Kind.DISK_FULL])
    assert Kind.DISK_FULL not in {fault.kind for fault in faults}


@given(SEEDS)
def test_every_steady_worker_is_a_target(seed: int) -> None:
    assert {fault.slot for fault in made(seed, 100)} == set(range(STEADY_SLOTS))


@given(SEEDS)
def test_mean_pause_is_as_requested(seed: int) -> None:
    faults = made(seed, 300)
    assert sum(fault.pause for fault in faults) / len(faults) == pytest.approx(2.0, rel=0.2)


@given(SEEDS)
def test_a_run_has_static_and_dynamic_members(seed: int) -> None:
    rounds = [static_slots(seed, number) for number in range(12)]
    assert rounds == [static_slots(seed, number) for number in range(12)]
    members = [slot in static for static in rounds for slot in range(GUEST_SLOT + 1)]
    assert set(members) == {True, False}
