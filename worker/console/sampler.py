"""Computes the data of the plots: the change of the worker's metrics in each second.

Keeps the samples of the last five minutes, so that a page that is opened later shows them.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from worker.observability import metrics

PERIOD_SECONDS = 1.0

MAX_SAMPLES = 300
"""Five minutes; 60 KB as JSON."""

LATENCY_WINDOW_SECONDS = 10.0
"""Age limit of the latencies in a quantile. One second has too few records for a p99."""

MAX_LATENCIES = 20_000
"""2,000 records/s for `LATENCY_WINDOW_SECONDS`, which is far above a worker's throughput."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Changes of the metrics in an interval of about one second, and lag at its end."""

    at: int
    """End of the interval, in milliseconds since the epoch."""
    seconds: float
    """Length of the interval."""
    received: float
    """Number of records read from Kafka."""
    finished: float
    """Number of records answered, rejected, or dropped because they had expired."""
    rejected: dict[str, float]
    """Number of rejected records by reason."""
    p50: float | None
    """Median latency from poll to commit, in milliseconds; `None` without a record."""
    p99: float | None
    """99th percentile of the same latency."""
    fill: float | None
    """Share of the model's input tokens that are not padding; `None` without a batch."""
    windows: float | None
    """Mean number of windows in a batch; `None` without a batch."""
    lag: dict[str, float]
    """Uncommitted records by partition; its key is the number, with several topics also the topic.
    """


@dataclass(slots=True)
class Latencies:
    """Latencies of the records that finished in the last `LATENCY_WINDOW_SECONDS`.

    `clock` returns monotonic seconds.
    """

    clock: Callable[[], float]
    _kept: deque[tuple[float, float]] = field(
        default_factory=lambda: deque[tuple[float, float]](maxlen=MAX_LATENCIES)
    )

    def add(self, milliseconds: float) -> None:
        self._kept.append((self.clock(), milliseconds))

    def quantiles(self, *shares: float) -> list[float | None]:
        """Returns the nearest-rank quantile in milliseconds for each share in (0, 1].

        The quantiles are `None` if there are no latencies.
        """
        oldest = self.clock() - LATENCY_WINDOW_SECONDS
        while self._kept and self._kept[0][0] < oldest:
            self._kept.popleft()
        ordered = sorted(latency for _, latency in self._kept)
        return [
            ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None
            for share in shares
        ]


class Sampler:
    """Takes a sample at each call of `take`, and returns recent samples (`since`)."""

    def __init__(self, latencies: Latencies, clock: Callable[[], float]) -> None:
        """`clock` returns seconds since the epoch."""
        self._latencies = latencies
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._before = _Totals.now()
        self._at = clock()

    def take(self) -> None:
        """Append a sample of the interval since the last call."""
        totals, now = _Totals.now(), self._clock()
        before, seconds = self._before, max(now - self._at, 1e-3)  # the clock may be set back
        self._before, self._at = totals, now
        rejected = {
            reason: count - before.rejected.get(reason, 0.0)
            for reason, count in totals.rejected.items()
            if count > before.rejected.get(reason, 0.0)
        }
        run, padded = totals.run - before.run, totals.padded - before.padded
        batches = totals.batches - before.batches
        p50, p99 = self._latencies.quantiles(0.5, 0.99)
        self._samples.append(
            Sample(
                at=round(now * 1000),
                seconds=seconds,
                received=totals.received - before.received,
                finished=(
                    totals.answered
                    - before.answered
                    + sum(rejected.values())
                    + totals.dropped
                    - before.dropped
                ),
                rejected=rejected,
                p50=p50,
                p99=p99,
                fill=run / (run + padded) if run + padded else None,
                windows=(totals.windows - before.windows) / batches if batches else None,
                lag=_lag(),
            )
        )

    def since(self, at: int) -> Sequence[Sample]:
        """Returns the samples that end after `at`, in milliseconds since the epoch."""
        return [sample for sample in self._samples if sample.at > at]


@dataclass(frozen=True, slots=True)
class _Totals:
    """Values of the worker's counters, summed over their labels."""

    received: float
    answered: float
    rejected: dict[str, float]
    dropped: float
    run: float
    padded: float
    batches: float
    windows: float

    @classmethod
    def now(cls) -> "_Totals":
        return cls(
            received=_sum(metrics.CONSUMED_RECORDS, "_total"),
            answered=_sum(metrics.ANSWERS, "_total"),
            rejected=_by_label(metrics.REJECTIONS, "reason"),
            dropped=_by_label(metrics.PAST_DEADLINE, "mode")["drop"],
            run=_sum(metrics.INFERENCE_TOKENS, "_total"),
            padded=_sum(metrics.PADDING_TOKENS, "_total"),
            batches=_sum(metrics.BATCH_WINDOWS, "_count"),
            windows=_sum(metrics.BATCH_WINDOWS, "_sum"),
        )


def _sum(metric: Counter | Histogram, suffix: str) -> float:
    """Returns the sum of the series `<name><suffix>` over all labels."""
    (family,) = metric.collect()
    name = f"{family.name}{suffix}"
    return sum(sample.value for sample in family.samples if sample.name == name)


def _lag() -> dict[str, float]:
    (family,) = metrics.LAG.collect()
    found = {
        (sample.labels["topic"], sample.labels["partition"]): sample.value
        for sample in family.samples
    }
    several = len({topic for topic, _ in found}) > 1
    return {
        f"{topic}-{number}" if several else number: lag for (topic, number), lag in found.items()
    }


def _by_label(metric: Counter | Gauge, label: str) -> dict[str, float]:
    (family,) = metric.collect()
    return {
        sample.labels[label]: sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
