"""Which differences stand between two outcomes: by switching them off one by one, not by guess."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.parity.classes import EVERYTHING, NOTHING, Difference
from tests.parity.reference_results import Outcome

TOLERANCE = 1e-4
"""Of a score."""

Emulated = Callable[[frozenset[Difference]], Outcome]
"""What comes out with these switches on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one question: equal where there are no differences, `None` where nothing explains it."""

    differences: tuple[Difference, ...] | None
    score_gap: float = 0.0
    """The largest difference of scores, where the outcomes are equal."""


def judge(ours: Outcome, theirs: Outcome, emulated: Emulated) -> Verdict:
    """Compare, and explain what differs.

    The emulation must give ours with all switches off and theirs with all on. From the latter,
    each is switched off in turn and stays off if theirs still comes out, round after round: of
    what is left, none can be missed.
    """
    if equal(ours, theirs):
        return Verdict((), score_gap(ours, theirs))
    if not equal(emulated(NOTHING), ours) or not equal(emulated(EVERYTHING), theirs):
        return Verdict(None)
    needed, before = EVERYTHING, NOTHING
    while needed != before:
        before = needed
        for difference in _in_order(needed):
            if equal(emulated(needed - {difference}), theirs):
                needed -= {difference}
    return Verdict(_in_order(needed))


def _in_order(differences: frozenset[Difference]) -> tuple[Difference, ...]:
    return tuple(difference for difference in Difference if difference in differences)


def equal(one: Outcome, other: Outcome) -> bool:
    """Same answers at the same places in the same order, scores within the tolerance."""
    if one is None or other is None:
        return one is other
    places = [[(span.answer, span.start, span.end) for span in spans] for spans in (one, other)]
    return places[0] == places[1] and score_gap(one, other) <= TOLERANCE


def score_gap(one: Outcome, other: Outcome) -> float:
    """The largest difference of scores of spans of the same rank."""
    pairs = zip(one or (), other or (), strict=False)
    return max((abs(mine.score - its.score) for mine, its in pairs), default=0.0)
