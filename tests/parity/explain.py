"""Finds the differences that explain two unequal outcomes, by switching them off one by one."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.parity.differences import ALL_DIFFERENCES, NO_DIFFERENCES, Difference
from tests.parity.pipeline_results import Outcome

TOLERANCE = 1e-4
"""Maximum difference of equal scores."""

Emulate = Callable[[frozenset[Difference]], Outcome]
"""Returns the emulation's outcome with these switches on."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result of the comparison of one question."""

    differences: tuple[Difference, ...] | None
    """Empty if the outcomes are equal; `None` if no switches explain the difference."""
    score_gap: float = 0.0
    """The largest difference of scores, if the outcomes are equal."""


def explain(worker: Outcome, pipeline: Outcome, emulate: Emulate) -> Explanation:
    """Compares two outcomes, and explains their differences.

    The emulation must return the worker's outcome with all switches off and the pipeline's with all
    switches on. Then each switch is turned off, and stays off if the outcome is still the
    pipeline's, repeatedly until no more can be turned off. All remaining switches are needed.
    """
    if equal(worker, pipeline):
        return Explanation((), score_gap(worker, pipeline))
    if not equal(emulate(NO_DIFFERENCES), worker):
        return Explanation(None)
    if not equal(emulate(ALL_DIFFERENCES), pipeline):
        return Explanation(None)
    needed, previous = ALL_DIFFERENCES, NO_DIFFERENCES
    while needed != previous:
        previous = needed
        for difference in _in_order(needed):
            if equal(emulate(needed - {difference}), pipeline):
                needed -= {difference}
    return Explanation(_in_order(needed))


def _in_order(differences: frozenset[Difference]) -> tuple[Difference, ...]:
    return tuple(difference for difference in Difference if difference in differences)


def equal(one: Outcome, other: Outcome) -> bool:
    """Returns whether answers, offsets and order are equal, and scores within `TOLERANCE`."""
    if one is None or other is None:
        return one is other
    spans = [[(span.answer, span.start, span.end) for span in spans] for spans in (one, other)]
    return spans[0] == spans[1] and score_gap(one, other) <= TOLERANCE


def score_gap(one: Outcome, other: Outcome) -> float:
    """Returns the largest difference of scores of spans with the same rank."""
    pairs = zip(one or (), other or (), strict=False)
    return max((abs(left.score - right.score) for left, right in pairs), default=0.0)
