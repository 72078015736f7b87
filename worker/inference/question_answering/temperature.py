"""Scores at the temperature of a calibrated model: what a score is if logits are divided by it.

Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599) changes how sure the scores
are. Spans rank by their scores at temperature 1, so that the order and the answers stay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import exp, fsum, log

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Denominator:
    """What a softmax over the tokens of all passages, and one [CLS], sums in its denominator.

    wholes   logits of each passage with that of [CLS] in front, (1 + tokens,) each
    null     the logit of [CLS]
    highest  the highest of all logits
    """

    wholes: Sequence[Doubles]
    null: np.float64
    highest: np.float64

    @property
    def total(self) -> float:
        """The sum of exp(logit - highest)."""
        # The sum of each passage has [CLS] in front, so that a single one is summed as it always
        # was; [CLS] is to count once. `fsum` rounds only once: the order of the passages does not
        # matter.
        sums = [np.exp(whole - self.highest).sum() for whole in self.wholes]
        return fsum([*sums, *repeat(-np.exp(self.null - self.highest), len(sums) - 1)])

    def total_at(self, power: float) -> float:
        """The sum of exp((logit - highest) * power)."""
        sums = [np.exp((whole - self.highest) * power).sum() for whole in self.wholes]
        null = np.exp((self.null - self.highest) * power)
        return fsum([*sums, *repeat(-null, len(sums) - 1)])

    def logits(self) -> Doubles:
        """All logits less the highest, (n,)."""
        first, *others = self.wholes
        whole: Doubles = np.concatenate([first, *(each[1:] for each in others)])
        return whole - self.highest


@dataclass(frozen=True, slots=True, eq=False)
class Softmax:
    """The softmaxes over starts and over ends that a score p_start * p_end comes from."""

    starts: Denominator
    ends: Denominator

    def at_temperature(self, temperature: float) -> Callable[[float], float]:
        """A function from a span's score at temperature 1 to the one with all logits divided by
        `temperature`.

        With Z(T) the sum of exp((logit - highest) / T), a probability is p = exp(logit - highest) /
        Z(1), and becomes p^(1/T) * Z(1)^(1/T) / Z(T). So the order within a softmax stays.
        """
        if temperature == 1.0:
            return lambda score: score
        power = 1.0 / temperature
        log_factor = sum(
            power * log(part.total) - log(part.total_at(power)) for part in (self.starts, self.ends)
        )

        def scaled(score: float) -> float:
            return min(exp(power * log(score) + log_factor), 1.0) if score > 0.0 else score

        return scaled
