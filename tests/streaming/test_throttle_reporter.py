"""A quota is counted, logged once a minute, and is neither silence nor a stall."""

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.observability.clock import Clock
from worker.observability.health import Health
from worker.streaming.throttle_reporter import LOG_SECONDS, ThrottleReporter


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock, stall_after=120, contact_after=20)


def counted(request: str) -> float:
    found = REGISTRY.get_sample_value("qa_throttle_time_seconds_total", {"request": request})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("request_name", "label"),
    [("ProduceRequest", "produce"), ("FetchRequest", "fetch"), ("EndTxnRequest", "other")],
)
def test_the_metric_sums_seconds_by_kind(
    clock: Clock, health: Health, request_name: str, label: str
) -> None:
    before = counted(label)
    reporter = ThrottleReporter(health, clock)
    reporter.report(request_name, 1.5)
    reporter.report(request_name, 0.5)
    assert counted(label) == pytest.approx(before + 2.0)


def test_the_log_has_one_line_a_minute_with_the_sum(clock: Clock, health: Health) -> None:
    reporter = ThrottleReporter(health, clock)
    with capture_logs() as logs:
        for _ in range(3):
            reporter.report("ProduceRequest", 2.0)
        clock.now += LOG_SECONDS
        reporter.report("ProduceRequest", 2.0)
    assert [(each["event"], each["request"], each["total"]) for each in logs] == [
        ("throttled", "produce", 2.0),
        ("throttled", "produce", 6.0),
    ]


def test_a_throttled_worker_is_neither_stalled_nor_cut_off(clock: Clock, health: Health) -> None:
    health.set_work_pending(True)
    ThrottleReporter(health, clock).report("FetchRequest", 500.0)
    clock.now += 499.0
    assert (health.is_throttled, health.stalled, health.seconds_since_contact) == (True, False, 0)
    # Afterwards the brokers have their usual time.
    clock.now += 1.0 + 20.0
    assert (health.is_throttled, health.stalled) == (False, False)
    clock.now += 100.0
    health.broker_contact()
    assert health.seconds_since_contact == 0
    assert not health.stalled
    for _ in range(121):
        clock.now += 1.0
        health.broker_contact()
    assert health.stalled
