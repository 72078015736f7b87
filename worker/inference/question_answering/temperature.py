"""Scores at the temperature of a calibrated model: what a score is if logits are divided by it.

Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599) changes how sure the scores
are. Spans rank by their scores at temperature 1, so that the order and the answers stay.
"""

from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Softmax:
    """The two softmaxes behind a score p_start * p_end.

    start, end  exp(logit - highest logit) of everything in the denominator, (n,) each
    """

    start: Doubles
    end: Doubles

    def at_temperature(self, score: float, temperature: float) -> float:
        """The span's score with all logits divided by `temperature`; `score` is that at 1.

        With Z(T) the sum of exp((logit - highest) / T), a probability is p = exp(logit - highest) /
        Z(1), and becomes p^(1/T) * Z(1)^(1/T) / Z(T). So the order within a softmax stays.
        """
        if temperature == 1.0 or score <= 0.0:
            return score
        power = 1.0 / temperature
        return min(exp(log(score) * power + self._log_factor(power)), 1.0)

    def _log_factor(self, power: float) -> float:
        """log of Z(1)^(1/T) / Z(T), for starts and ends together; `power` is 1/T."""
        return sum(
            power * log(part.sum()) - log((part**power).sum()) for part in (self.start, self.end)
        )
