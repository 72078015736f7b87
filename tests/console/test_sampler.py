"""Samples of the metrics, and quantiles of latencies."""

import pytest

from tests.observability.clock import Clock
from worker.console.sampler import LATENCY_WINDOW_SECONDS, MAX_SAMPLES, Latencies, Sampler
from worker.observability import metrics


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sampler(clock: Clock) -> Sampler:
    return Sampler(Latencies(clock), clock)


def test_sample_is_the_change_since_the_last_one(clock: Clock, sampler: Sampler) -> None:
    metrics.CONSUMED_RECORDS.labels("t", "0").inc(5)
    metrics.CONSUMED_RECORDS.labels("t", "1").inc(2)
    metrics.ANSWERS.labels("t", "0").inc(4)
    metrics.REJECTIONS.labels("not_json").inc(2)
    metrics.PAST_DEADLINE.labels("drop").inc(3)
    metrics.PAST_DEADLINE.labels("answer").inc(1)  # which is one of the answers
    clock.now += 2
    sampler.take()
    clock.now += 1
    sampler.take()
    busy, idle = sampler.since(0)
    assert (busy.at, busy.seconds) == (1_002_000, 2)
    assert (busy.received, busy.finished, busy.rejected) == (7, 9, {"not_json": 2})
    assert (idle.at, idle.seconds) == (1_003_000, 1)
    assert (idle.received, idle.finished, idle.rejected) == (0, 0, {})


def test_fill_is_the_share_of_tokens_without_padding(sampler: Sampler) -> None:
    metrics.INFERENCE_TOKENS.inc(90)
    metrics.PADDING_TOKENS.inc(10)
    for windows in (1, 4):
        metrics.BATCH_WINDOWS.observe(windows)
    sampler.take()
    sampler.take()
    busy, idle = sampler.since(0)
    assert (busy.fill, busy.windows) == (0.9, 2.5)
    assert (idle.fill, idle.windows) == (None, None)


def test_lag_is_of_currently_assigned_partitions(sampler: Sampler) -> None:
    metrics.LAG.clear()
    metrics.LAG.labels("t", "0").set(3)
    metrics.LAG.labels("t", "7").set(0)
    sampler.take()
    metrics.LAG.remove("t", "0")
    sampler.take()
    assert [sample.lag for sample in sampler.since(0)] == [{"0": 3, "7": 0}, {"7": 0}]
    metrics.LAG.clear()


def test_since_returns_newer_samples(clock: Clock, sampler: Sampler) -> None:
    for _ in range(3):
        clock.now += 1
        sampler.take()
    assert [sample.at for sample in sampler.since(1_001_000)] == [1_002_000, 1_003_000]
    assert sampler.since(1_003_000) == []


def test_sampler_keeps_max_samples(clock: Clock, sampler: Sampler) -> None:
    for _ in range(MAX_SAMPLES + 10):
        clock.now += 1
        sampler.take()
    kept = sampler.since(0)
    assert len(kept) == MAX_SAMPLES
    assert kept[-1].at == round(clock.now * 1000)


def test_interval_is_positive_after_the_clock_is_set_back(clock: Clock, sampler: Sampler) -> None:
    clock.now -= 100
    sampler.take()
    (sample,) = sampler.since(0)
    assert sample.seconds > 0


def test_quantiles_are_nearest_rank(clock: Clock) -> None:
    latencies = Latencies(clock)
    assert latencies.quantiles(0.5, 0.99) == [None, None]
    for milliseconds in range(200, 0, -1):
        latencies.add(milliseconds)
    assert latencies.quantiles(0.5, 0.99, 1.0) == [100, 198, 200]


def test_quantiles_drop_old_latencies(clock: Clock) -> None:
    latencies = Latencies(clock)
    latencies.add(900)
    clock.now += LATENCY_WINDOW_SECONDS / 2
    latencies.add(10)
    assert latencies.quantiles(0.99) == [900]
    clock.now += LATENCY_WINDOW_SECONDS / 2 + 1
    assert latencies.quantiles(0.99) == [10]
