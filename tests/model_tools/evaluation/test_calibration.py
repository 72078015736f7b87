"""The fit of a temperature and of the empty answer's threshold, and the figures beside it."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from worker.inference.question_answering.temperature import Denominator, Softmax
from worker.model_tools.evaluation.calibration import (
    MIN_QUESTIONS,
    CalibrationError,
    Sample,
    ScoredSpan,
    ScoreTable,
    calibrate,
    fit_temperature,
    fit_threshold,
    mean_f1,
    outcomes,
)
from worker.model_tools.evaluation.reliability import Reliability

pytestmark = pytest.mark.long

NOTHING = ScoredSpan(0.0, None, right=False, f1=0.0)


def candidates(count: int, temperature: float, seed: int = 1) -> list[ScoredSpan]:
    """Best spans of random logits, each right with its probability at `temperature`."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        starts, ends = random.normal(0, 4, (2, 30))
        softmax = Softmax(*(Denominator([x], x[0], x.max()) for x in (starts, ends)))
        score = 1.0 / (softmax.starts.total * softmax.ends.total)
        chance = softmax.at_temperature(temperature)(score)
        right = bool(random.random() < chance)
        made.append(ScoredSpan(score, softmax, right, f1=float(right)))
    return made


def sample(span: float, nothing: float, *, span_f1: float, nothing_f1: float) -> Sample:
    return Sample(
        replace(NOTHING, score=span, f1=span_f1),
        replace(NOTHING, score=nothing, f1=nothing_f1),
        answerable=not nothing_f1,
    )


def answered(each: ScoredSpan) -> Sample:
    return Sample(each, NOTHING, answerable=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_behind_the_outcomes_is_found(temperature: float) -> None:
    assert fit_temperature(candidates(1500, temperature)) == pytest.approx(temperature, rel=0.1)


def test_a_fit_makes_scores_of_other_outcomes_reliable() -> None:
    result = calibrate(
        [answered(each) for each in candidates(2000, 2.0)], no_answer=False, threshold=0.0
    )
    assert result.before.ece > 0.1
    assert result.after.ece < 0.03
    assert result.after.brier < result.before.brier


def test_half_of_the_samples_say_nothing_about_their_own_fit() -> None:
    """Labels of the first half by temperature 2, of the second by 0.5: each half is then shown at
    the temperature of the other, which is worse than none.
    """
    mixed = [*candidates(500, 2.0), *candidates(500, 0.5, seed=2)]
    result = calibrate([answered(each) for each in mixed], no_answer=False, threshold=0.0)
    assert result.after.brier > result.before.brier


def test_scores_at_a_temperature_are_those_that_the_worker_gives() -> None:
    made = [*candidates(50, 1.0), NOTHING]
    for temperature in (0.3, 1.0, 7.0):
        expected = [
            each.softmax.at_temperature(temperature)(each.score) if each.softmax else 0.0
            for each in made
        ]
        assert ScoreTable(made).at(temperature) == pytest.approx(expected, rel=1e-5)


SCORES = st.sampled_from([0.0, 0.001, 0.1, 0.3, 0.8])
SHARES = st.sampled_from([0.0, 0.5, 1.0])
SAMPLES = st.lists(
    st.builds(sample, SCORES, SCORES, span_f1=SHARES, nothing_f1=SHARES), min_size=1, max_size=12
)


@given(SAMPLES)
@examples(200)
def test_no_threshold_has_a_better_f1(samples: Sequence[Sample]) -> None:
    tried = [*np.linspace(-8, 8, 200), -100.0, 100.0]
    best = max(mean_f1(samples, threshold) for threshold in tried)
    assert mean_f1(samples, fit_threshold(samples)) == pytest.approx(best)


def test_the_threshold_lies_between_the_margins_that_it_divides() -> None:
    samples = [
        sample(0.1, 0.8, span_f1=0.0, nothing_f1=1.0),
        sample(0.2, 0.4, span_f1=1.0, nothing_f1=0.0),
    ]
    assert log(0.4 / 0.2) < fit_threshold(samples) < log(0.8 / 0.1)


def test_the_empty_span_is_an_outcome_only_where_it_is_allowed() -> None:
    one = sample(0.1, 0.8, span_f1=0.0, nothing_f1=1.0)
    assert outcomes([one], 0.0, True, 0.0) == [one.nothing]
    assert outcomes([one], 0.0, False, 0.0) == [one.span]
    assert outcomes([one], None, True, 5.0) == [one.span]
    assert outcomes([one], 0.0, True, 5.0) == [one.nothing]


def test_too_few_questions_are_refused() -> None:
    few = [answered(each) for each in candidates(MIN_QUESTIONS - 1, 1.0)]
    with pytest.raises(CalibrationError, match="199 questions are too few to calibrate"):
        calibrate(few, no_answer=False, threshold=0.0)


@pytest.mark.parametrize(("right", "word"), [(True, "right"), (False, "wrong")])
def test_answers_that_are_all_right_or_all_wrong_are_refused(right: bool, word: str) -> None:
    same = [replace(each, right=right) for each in candidates(10, 1.0)]
    with pytest.raises(CalibrationError, match=f"all of 10 answers are {word}"):
        fit_temperature(same)


def test_scores_that_say_nothing_are_refused() -> None:
    """One answer of 400 is right: the lower all scores are, the better, without an end."""
    bad = [replace(each, right=n == 0) for n, each in enumerate(candidates(400, 1.0))]
    with pytest.raises(CalibrationError, match=r"no temperature from 0\.1 to 10 is the best"):
        fit_temperature(bad)


def test_ece_is_the_mean_distance_of_bins_and_brier_that_of_outcomes() -> None:
    shown = Reliability(np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True]))
    assert shown.ece == pytest.approx((2 * abs(0.05 - 0.5) + 2 * abs(0.975 - 1)) / 4)
    assert shown.brier == pytest.approx((0.05**2 + 0.95**2 + 0.05**2 + 0) / 4)
    assert [each.count for each in shown.bins()] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
