"""How far scores are from the share of right answers: bins, ECE and Brier score. Pure numpy."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS = 10
"""Of equal width, as in Guo et al. 2017; the last one holds scores of 1 too."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The outcomes with scores from `low` up to `high`."""

    low: float
    high: float
    count: int
    mean_score: float
    share_right: float


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Scores, (n,) in [0, 1], and whether their outcomes are right, (n,); n > 0."""

    scores: Doubles
    right: Flags

    @property
    def brier(self) -> float:
        """Mean square of the score's distance from 1 if right, otherwise from 0."""
        return float(np.mean((self.scores - self.right) ** 2))

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean over all outcomes of the distance between their
        bin's mean score and its share of right ones.
        """
        gaps = (each.count * abs(each.mean_score - each.share_right) for each in self.bins())
        return sum(gaps) / len(self.scores)

    def bins(self) -> Iterator[Bin]:
        """All `BINS`, also the empty ones, whose means are 0."""
        places = np.minimum((self.scores * BINS).astype(np.int64), BINS - 1)
        for number in range(BINS):
            inside = places == number
            count = int(inside.sum())
            yield Bin(
                low=number / BINS,
                high=(number + 1) / BINS,
                count=count,
                mean_score=float(self.scores[inside].mean()) if count else 0.0,
                share_right=float(self.right[inside].mean()) if count else 0.0,
            )
