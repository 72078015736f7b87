"""Liveness requires progress while work is pending; an outage of the brokers is not a stall."""

import pytest

from tests.observability.clock import Clock
from worker.observability.health import Health

STALL_SECONDS, OUTAGE_SECONDS = 120.0, 20.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wall_clock() -> Clock:
    return Clock(1_700_000_000.0)


@pytest.fixture
def health(clock: Clock, wall_clock: Clock) -> Health:
    return Health(clock, STALL_SECONDS, OUTAGE_SECONDS, wall_clock)


def advance(clock: Clock, health: Health, seconds: float, *, contact: bool = True) -> None:
    """Advances the clock. With `contact`, brokers answer every second; otherwise never."""
    full_seconds = int(seconds)
    for step in [1.0] * full_seconds + [seconds - full_seconds]:
        clock.now += step
        if contact:
            health.broker_contact()


def test_not_ready_at_first(health: Health) -> None:
    assert not health.ready


def test_no_stall_without_pending_work(clock: Clock, health: Health) -> None:
    advance(clock, health, 10 * STALL_SECONDS)
    assert not health.stalled


def test_pending_work_stalls_after_the_limit_and_not_before(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, STALL_SECONDS)
    assert not health.stalled
    advance(clock, health, 0.1)
    assert health.stalled


def test_a_completed_record_restarts_the_stall_timer(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, STALL_SECONDS - 1)
    health.record_completed()
    advance(clock, health, STALL_SECONDS)
    assert not health.stalled
    advance(clock, health, 0.1)
    assert health.stalled


def test_a_completed_record_ends_a_stall(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, STALL_SECONDS + 1)
    health.record_completed()
    assert not health.stalled


def test_the_stall_timer_starts_when_work_arrives(clock: Clock, health: Health) -> None:
    advance(clock, health, 10 * STALL_SECONDS)
    health.set_work_pending(True)
    advance(clock, health, STALL_SECONDS)
    assert not health.stalled


def test_repeated_pending_reports_do_not_restart_the_timer(clock: Clock, health: Health) -> None:
    for _ in range(int(STALL_SECONDS) + 1):
        health.set_work_pending(True)
        advance(clock, health, 1.0)
    assert health.stalled


def test_a_stall_ends_when_no_work_is_pending(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, STALL_SECONDS + 1)
    health.set_work_pending(False)
    assert not health.stalled


def test_a_broker_outage_is_not_a_stall(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, 10 * STALL_SECONDS, contact=False)
    assert not health.stalled


def test_pending_work_gets_its_full_time_after_an_outage(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, 10 * STALL_SECONDS, contact=False)
    health.broker_contact()
    advance(clock, health, STALL_SECONDS)
    assert not health.stalled
    advance(clock, health, 1.0)
    assert health.stalled


def test_a_gap_shorter_than_an_outage_gives_no_extra_time(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    advance(clock, health, STALL_SECONDS - OUTAGE_SECONDS)
    advance(clock, health, OUTAGE_SECONDS, contact=False)
    health.broker_contact()
    advance(clock, health, 1.0)
    assert health.stalled


def test_seconds_since_contact(clock: Clock, health: Health) -> None:
    advance(clock, health, 5.0, contact=False)
    assert health.seconds_since_contact == 5.0
    health.broker_contact()
    assert health.seconds_since_contact == 0.0


def test_the_last_contact_is_the_unix_time_of_the_last_answer(
    health: Health, wall_clock: Clock
) -> None:
    created = wall_clock.now
    wall_clock.now += 5.0
    assert health.last_contact_timestamp == created
    health.broker_contact()
    wall_clock.now += 5.0
    assert health.last_contact_timestamp == created + 5.0
