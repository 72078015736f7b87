"""Fits a temperature, and the threshold of the empty answer, to what a model answered. Pure numpy.

An outcome is right if its text is exactly a gold answer's, as EM counts; the empty answer is right
if the question is unanswerable. The temperature is the one for which the scores of the outcomes
have the least mean negative log likelihood of being right, or wrong. Which span is the outcome
does not depend on the temperature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray

from worker.inference.question_answering.temperature import Denominator, Softmax
from worker.model_tools.evaluation.reliability import Doubles, Flags, Reliability

MIN_QUESTIONS = 200
"""Of each half, on average ten in each bin of the table."""

THRESHOLD_LIMIT = 100.0
"""The option no_answer_threshold lies within this limit of 0."""

_LOW, _HIGH = log(0.1), log(10.0)
"""Logs of the temperatures between which the best one is sought."""
_GRID = 24
"""Equal steps of log temperature, to find the interval that holds the best one."""
_PRECISION = 1e-5
"""Of log temperature."""
_GOLDEN = (5**0.5 - 1) / 2
_SURE = 1e-12
"""A score this close to 0 or 1 counts as this close: one wrong answer must not cost infinity."""


class CalibrationError(Exception):
    """The data do not determine a calibration. The message is one line."""


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A span that a question may get: its score at temperature 1, and what it would be worth."""

    score: float
    softmax: Softmax | None
    """None: the score is 0 at any temperature."""
    right: bool
    f1: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A question's best span that is not empty, and its empty span."""

    span: ScoredSpan
    nothing: ScoredSpan
    answerable: bool

    @property
    def margin(self) -> float:
        """The empty span is the outcome if this exceeds the threshold; see `SpanOptions`."""
        if self.nothing.score <= 0.0:
            return -inf
        return log(self.nothing.score) - log(self.span.score) if self.span.score > 0.0 else inf


@dataclass(frozen=True, slots=True)
class Fit:
    """What the manifest gets."""

    temperature: float
    no_answer_threshold: float | None


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """The fit to all samples, and how reliable the scores are without it and with it."""

    fit: Fit
    before: Reliability
    after: Reliability
    """Each half of the samples, by the fit to the other half."""


class ScoreTable:
    """The scores of many candidates at any temperature, as `Softmax.at_temperature` gives them."""

    def __init__(self, candidates: Sequence[ScoredSpan]) -> None:
        """Keeps 8 bytes for each token behind the scores."""
        self._size = len(candidates)
        self._known = np.array([c.softmax is not None and c.score > 0.0 for c in candidates], bool)
        known = [c for c, is_known in zip(candidates, self._known, strict=True) if is_known]
        self._logs = np.log([c.score for c in known])
        softmaxes = [c.softmax for c in known if c.softmax is not None]
        self._parts = [_Part([s.starts for s in softmaxes]), _Part([s.ends for s in softmaxes])]

    def at(self, temperature: float) -> Doubles:
        """(n,) scores."""
        scores = np.zeros(self._size)
        if self._known.any():
            power = 1.0 / temperature
            logs = self._logs * power + sum(part.log_factors(power) for part in self._parts)
            scores[self._known] = np.minimum(np.exp(logs), 1.0)
        return scores


class _Part:
    """The starts or the ends of all softmaxes, one after the other."""

    def __init__(self, denominators: Sequence[Denominator]) -> None:
        logits = [each.logits().astype(np.float32) for each in denominators]
        lengths = [len(each) for each in logits]
        self._begins = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
        self._logits: NDArray[np.float32] = np.concatenate(logits) if logits else np.zeros(0, "f4")

    def log_factors(self, power: float) -> Doubles:
        return power * self._log_sums(1.0) - self._log_sums(power)

    def _log_sums(self, power: float) -> Doubles:
        powers = np.exp(self._logits * power, dtype=np.float64)
        sums: Doubles = np.add.reduceat(powers, self._begins)
        return np.log(sums)


def calibrate(samples: Sequence[Sample], *, no_answer: bool, threshold: float) -> CalibrationResult:
    """The fit to `samples`, in the order of their file: the halves then share no paragraph.

    With `no_answer` the empty span may be the outcome; `threshold` applies until one is fitted,
    which needs unanswerable questions. Raises `CalibrationError`.
    """
    if len(samples) < MIN_QUESTIONS:
        raise CalibrationError(
            f"{len(samples)} questions are too few to calibrate: it takes {MIN_QUESTIONS}"
        )
    middle = len(samples) // 2
    first, second = samples[:middle], samples[middle:]
    after = [
        reliability(shown, _fit(fitted, no_answer, threshold), no_answer, threshold)
        for shown, fitted in ((first, second), (second, first))
    ]
    return CalibrationResult(
        fit=_fit(samples, no_answer, threshold),
        before=reliability(samples, Fit(1.0, None), no_answer, threshold),
        after=Reliability(
            np.concatenate([each.scores for each in after]),
            np.concatenate([each.right for each in after]),
        ),
    )


def reliability(
    samples: Sequence[Sample], fit: Fit, no_answer: bool, threshold: float
) -> Reliability:
    """The scores of the samples' outcomes with a fit."""
    chosen = outcomes(samples, fit.no_answer_threshold, no_answer, threshold)
    return Reliability(ScoreTable(chosen).at(fit.temperature), _right(chosen))


def outcomes(
    samples: Sequence[Sample], fitted: float | None, no_answer: bool, threshold: float
) -> list[ScoredSpan]:
    """What the worker answers: with `no_answer`, the empty span where its margin exceeds the fitted
    threshold, or `threshold` where there is none.
    """
    least = threshold if fitted is None else fitted
    return [each.nothing if no_answer and each.margin > least else each.span for each in samples]


def mean_f1(samples: Sequence[Sample], threshold: float) -> float:
    """Of the outcomes with this threshold of the empty answer, in [0, 1]."""
    chosen = outcomes(samples, threshold, True, threshold)
    return float(np.mean([each.f1 for each in chosen]))


def fit_temperature(candidates: Sequence[ScoredSpan]) -> float:
    """The temperature with the least mean negative log likelihood. Raises `CalibrationError`."""
    right = _right(candidates)
    if right.all() or not right.any():
        which = "right" if right.all() else "wrong"
        raise CalibrationError(
            f"all of {len(right)} answers are {which}: scores can be fitted only to data with "
            "right and wrong ones, in each half of the file"
        )
    table = ScoreTable(candidates)

    def loss(log_temperature: float) -> float:
        scores = np.clip(table.at(exp(log_temperature)), _SURE, 1.0 - _SURE)
        return -float(np.mean(np.log(np.where(right, scores, 1.0 - scores))))

    steps = np.linspace(_LOW, _HIGH, _GRID + 1)
    least = int(np.argmin([loss(step) for step in steps]))
    if least in (0, _GRID):
        raise CalibrationError(
            f"the scores say too little about which of {len(right)} answers are right: no "
            f"temperature from {exp(_LOW):g} to {exp(_HIGH):g} is the best"
        )
    low, high = float(steps[least - 1]), float(steps[least + 1])
    while high - low > _PRECISION:
        width = _GOLDEN * (high - low)
        if loss(high - width) <= loss(low + width):
            high = low + width
        else:
            low = high - width
    return round(exp((low + high) / 2), 4)


def fit_threshold(samples: Sequence[Sample]) -> float:
    """The threshold of the empty answer with the best F1 over all samples; of several equal ones
    that next to 0.
    """
    # Past the samples with the largest margins, one by one, the span is the outcome.
    ordered = sorted(samples, key=lambda each: -each.margin)
    gains = np.array([each.nothing.f1 - each.span.f1 for each in ordered])
    totals = np.concatenate(([0.0], np.cumsum(gains)))
    margins = np.clip([each.margin for each in ordered], -THRESHOLD_LIMIT, THRESHOLD_LIMIT)
    # Between two margins: no question lies on the threshold. Beside all of them: one unit away.
    above = np.concatenate(([min(margins[0] + 2, THRESHOLD_LIMIT)], margins))
    below = np.concatenate((margins, [max(margins[-1] - 2, -THRESHOLD_LIMIT)]))
    thresholds = np.where((above > 0) & (below < 0), 0.0, (above + below) / 2)
    possible = above > below
    best = totals[possible].max()
    equal = thresholds[possible & (totals > best - 1e-9)]
    return round(float(equal[np.abs(equal).argmin()]), 4)


def _fit(samples: Sequence[Sample], no_answer: bool, threshold: float) -> Fit:
    fitted = None if all(each.answerable for each in samples) else fit_threshold(samples)
    chosen = outcomes(samples, fitted, no_answer, threshold)
    return Fit(fit_temperature(chosen), fitted)


def _right(candidates: Sequence[ScoredSpan]) -> Flags:
    return np.array([each.right for each in candidates], bool)
