"""A connection that a broker has muted gets no request until the broker reads from it again."""

from types import SimpleNamespace

import pytest

from tests.observability.clock import Clock
from worker.kafka.throttle import Throttle, throttle_seconds


def test_a_muted_connection_is_free_after_its_time() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    throttle.mute("a", 2.0)
    assert (throttle.remaining("a"), throttle.remaining("b")) == (2.0, 0.0)
    clock.now += 1.5
    assert throttle.remaining("a") == 0.5
    clock.now += 1.0
    assert throttle.remaining("a") == 0.0


def test_a_shorter_throttle_does_not_end_a_longer_one() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    throttle.mute("a", 5.0)
    throttle.mute("a", 1.0)
    assert throttle.remaining("a") == 5.0


@pytest.mark.parametrize(("milliseconds", "seconds"), [(1500, 1.5), (0, 0.0), (None, 0.0)])
def test_seconds_of_a_response(milliseconds: int | None, seconds: float) -> None:
    assert throttle_seconds(SimpleNamespace(throttle_time_ms=milliseconds)) == seconds
    assert throttle_seconds(SimpleNamespace()) == 0.0
