"""What the plots show: once a second, what the metrics did since the second before.

Knows the worker's metrics; keeps the last minutes, so that a page that is opened later shows them.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from worker.observability import metrics

PERIOD_SECONDS = 1.0

KEPT = 300
"""Samples: five minutes, 60 KB as JSON."""

LATENCY_SECONDS = 10.0
"""Records of the last so many seconds make the quantiles: of one second alone, p99 would be the
slowest of a handful."""

LATENCIES = 20_000
"""Of records, kept at most: 2,000 records/s, far above what a worker does."""


@dataclass(frozen=True, slots=True)
class Sample:
    """About a second, and what happened in it. `None` where nothing did that could be measured."""

    at: int
    """Milliseconds since the epoch, at its end."""
    seconds: float
    taken: float
    """Records; so are those below."""
    finished: float
    """Answered or rejected."""
    rejected: dict[str, float]
    """By reason."""
    p50: float | None
    """Milliseconds from poll to commit."""
    p99: float | None
    fill: float | None
    """Tokens run that were no padding, as a share."""
    windows: float | None
    """In a batch, on average."""
    lag: dict[str, float]
    """Partition to its records not yet committed."""


@dataclass(slots=True)
class Latencies:
    """Of records that were finished lately. `clock` gives seconds that never run backwards."""

    clock: Callable[[], float]
    _kept: deque[tuple[float, float]] = field(
        default_factory=lambda: deque[tuple[float, float]](maxlen=LATENCIES)
    )

    def add(self, milliseconds: float) -> None:
        self._kept.append((self.clock(), milliseconds))

    def quantiles(self, *shares: float) -> list[float | None]:
        """The smallest latency that so large a share of the records did not exceed."""
        oldest = self.clock() - LATENCY_SECONDS
        while self._kept and self._kept[0][0] < oldest:
            self._kept.popleft()
        ordered = sorted(latency for _, latency in self._kept)
        return [
            ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None
            for share in shares
        ]


class Sampler:
    """`take` it once a second; `since` for whoever looks on."""

    def __init__(self, latencies: Latencies, clock: Callable[[], float]) -> None:
        """`clock` is the time of day, in seconds since the epoch."""
        self._latencies = latencies
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._before = _Totals.now()
        self._at = clock()

    def take(self) -> None:
        totals, now = _Totals.now(), self._clock()
        before, seconds = self._before, max(now - self._at, 1e-3)  # the clock may be set
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
                taken=totals.taken - before.taken,
                finished=totals.answered - before.answered + sum(rejected.values()),
                rejected=rejected,
                p50=p50,
                p99=p99,
                fill=run / (run + padded) if run + padded else None,
                windows=(totals.windows - before.windows) / batches if batches else None,
                lag=_by_label(metrics.LAG, "partition"),
            )
        )

    def since(self, at: int) -> Sequence[Sample]:
        """What was sampled after this moment, in milliseconds since the epoch."""
        return [sample for sample in self._samples if sample.at > at]


@dataclass(frozen=True, slots=True)
class _Totals:
    """Of the metrics that only grow."""

    taken: float
    answered: float
    rejected: dict[str, float]
    run: float
    padded: float
    batches: float
    windows: float

    @classmethod
    def now(cls) -> "_Totals":
        return cls(
            taken=_sum(metrics.RECORDS, "_total"),
            answered=_sum(metrics.ANSWERS, "_total"),
            rejected=_by_label(metrics.REJECTIONS, "reason"),
            run=_sum(metrics.TOKENS_RUN, "_total"),
            padded=_sum(metrics.TOKENS_PADDED, "_total"),
            batches=_sum(metrics.BATCH_WINDOWS, "_count"),
            windows=_sum(metrics.BATCH_WINDOWS, "_sum"),
        )


def _sum(metric: Counter | Histogram, ending: str) -> float:
    """Over all labels."""
    (family,) = metric.collect()
    return sum(each.value for each in family.samples if each.name == f"{family.name}{ending}")


def _by_label(metric: Counter | Gauge, label: str) -> dict[str, float]:
    (family,) = metric.collect()
    return {
        each.labels[label]: each.value
        for each in family.samples
        if not each.name.endswith("_created")
    }
