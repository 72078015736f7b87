"""Alive is progress where there is work; brokers that are away are no stall."""

import pytest

from tests.observability.clock import Clock
from worker.observability.health import Health

STALL, AWAY = 120.0, 20.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock, stall_after=STALL, contact_after=AWAY)


def later(clock: Clock, health: Health, seconds: float, *, contact: bool = True) -> None:
    """Time goes by, with brokers that answer every second or not at all."""
    whole = int(seconds)
    for step in [1.0] * whole + [seconds - whole]:
        clock.now += step
        if contact:
            health.contacted()


def test_a_worker_is_not_ready_until_somebody_says_so(health: Health) -> None:
    assert not health.ready


def test_without_work_nothing_stalls(clock: Clock, health: Health) -> None:
    later(clock, health, 10 * STALL)
    assert not health.stalled


def test_work_that_gets_nowhere_stalls_after_its_time_and_not_before(
    clock: Clock, health: Health
) -> None:
    health.due(True)
    later(clock, health, STALL)
    assert not health.stalled
    later(clock, health, 0.1)
    assert health.stalled


def test_progress_gives_the_rest_its_full_time(clock: Clock, health: Health) -> None:
    health.due(True)
    later(clock, health, STALL - 1)
    health.progressed()
    later(clock, health, STALL)
    assert not health.stalled
    later(clock, health, 0.1)
    assert health.stalled


def test_progress_ends_a_stall(clock: Clock, health: Health) -> None:
    health.due(True)
    later(clock, health, STALL + 1)
    health.progressed()
    assert not health.stalled


def test_time_counts_from_when_work_became_due(clock: Clock, health: Health) -> None:
    later(clock, health, 10 * STALL)
    health.due(True)
    later(clock, health, STALL)
    assert not health.stalled


def test_to_say_again_that_work_is_due_gives_it_no_more_time(clock: Clock, health: Health) -> None:
    for _ in range(int(STALL) + 1):
        health.due(True)
        later(clock, health, 1.0)
    assert health.stalled


def test_work_that_is_done_is_no_stall(clock: Clock, health: Health) -> None:
    health.due(True)
    later(clock, health, STALL + 1)
    health.due(False)
    assert not health.stalled


def test_an_outage_is_no_stall(clock: Clock, health: Health) -> None:
    health.due(True)
    later(clock, health, 10 * STALL, contact=False)
    assert not health.stalled


def test_after_an_outage_work_has_its_full_time_again(clock: Clock, health: Health) -> None:
    health.due(True)
    later(clock, health, 10 * STALL, contact=False)
    health.contacted()
    later(clock, health, STALL)
    assert not health.stalled
    later(clock, health, 1.0)
    assert health.stalled


def test_a_short_silence_is_no_outage_and_gives_no_time(clock: Clock, health: Health) -> None:
    health.due(True)
    later(clock, health, STALL - AWAY)
    later(clock, health, AWAY, contact=False)
    health.contacted()
    later(clock, health, 1.0)
    assert health.stalled


def test_silence_is_the_time_since_the_brokers_answered(clock: Clock, health: Health) -> None:
    later(clock, health, 5.0, contact=False)
    assert health.silence == 5.0
    health.contacted()
    assert health.silence == 0.0
