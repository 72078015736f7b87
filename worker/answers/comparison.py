"""What the pairs of two sides show: equal spans, F1, answered or not, scores, delay. Pure."""

import heapq
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from worker.answers.answer import ComparedAnswer
from worker.model_tools.evaluation.squad import normalize, token_f1

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def same_answer(left: ComparedAnswer, right: ComparedAnswer) -> bool:
    """Whether both say that there is no answer, or both have the same span of the same passage.

    Offsets in different units are not comparable without the context: then the same text of the
    same passage counts as the same span.
    """
    if left.span is None or right.span is None:
        return left.span is right.span
    if left.offsets == right.offsets:
        return left.span == right.span
    return left.span[0] == right.span[0] and left.answer == right.answer


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair whose answers differ."""

    left: ComparedAnswer
    right: ComparedAnswer
    f1: float

    @property
    def severity(self) -> tuple[float, float]:
        """Orders differences: the least F1 first; of equal ones, those of which both models are
        surest."""
        return 1 - self.f1, min(self.left.score, self.right.score)


@dataclass(slots=True)
class Distribution:
    """Numbers, 8 bytes each."""

    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values)) if self.values else 0.0

    @property
    def quantiles(self) -> dict[float, float]:
        """`QUANTILES`, between two numbers by linear interpolation; empty without numbers."""
        if not self.values:
            return {}
        found = np.quantile(np.array(self.values), QUANTILES)
        return dict(zip(QUANTILES, map(float, found), strict=True))


class Comparison:
    """Add pairs, then look at the figures. Keeps two or three numbers for each pair."""

    def __init__(self, *, shown: int) -> None:
        """`shown` is the maximum length of `worst`."""
        self.pairs = 0
        self.same = 0
        """Pairs with the same span, or no answer on both sides."""
        self.same_text = 0
        """Pairs whose texts are equal by SQuAD's normalization; the spans may differ."""
        self.different_units = 0
        """Pairs whose offsets count different units."""
        self.answered: Counter[tuple[bool, bool]] = Counter()
        """Whether left, and right, has an answer."""
        self.f1 = Distribution()
        """Token F1 between the two answers; 1 if both say that there is none."""
        self.score_shift = Distribution()
        """Right's score minus left's."""
        self.delay = Distribution()
        """Right's record timestamp minus left's, in seconds."""
        self._shown = shown
        self._worst: list[tuple[tuple[float, float], int, Difference]] = []

    def add(self, left: ComparedAnswer, right: ComparedAnswer) -> None:
        """Both are answers to one question."""
        self.pairs += 1
        is_same = same_answer(left, right)
        self.same += is_same
        self.same_text += normalize(left.answer) == normalize(right.answer)
        self.different_units += left.offsets != right.offsets
        self.answered[left.span is not None, right.span is not None] += 1
        f1 = token_f1(left.answer, right.answer)
        self.f1.add(f1)
        self.score_shift.add(right.score - left.score)
        if left.timestamp_ms is not None and right.timestamp_ms is not None:
            self.delay.add((right.timestamp_ms - left.timestamp_ms) / 1000)
        if not is_same:
            self._keep(Difference(left, right, f1))

    @property
    def differ(self) -> int:
        """Pairs whose answers are not the same."""
        return self.pairs - self.same

    @property
    def share_that_differs(self) -> float:
        return self.differ / self.pairs if self.pairs else 0.0

    @property
    def worst(self) -> Sequence[Difference]:
        """The gravest differences, the first one first."""
        return [difference for *_, difference in sorted(self._worst, reverse=True)]

    def _keep(self, difference: Difference) -> None:
        # Of equally grave ones the earlier; the number also keeps answers from being compared.
        entry = difference.severity, -self.pairs, difference
        if len(self._worst) < self._shown:
            heapq.heappush(self._worst, entry)
        elif self._shown:
            heapq.heappushpop(self._worst, entry)
