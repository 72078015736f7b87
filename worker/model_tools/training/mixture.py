"""Which share of the training windows comes from which group of sources."""

from collections.abc import Iterator, Mapping
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from worker.model_tools.training.rows import Row


class Group(IntEnum):
    """Sources whose questions are alike."""

    SQUAD = auto()
    WIKIPEDIA = auto()
    OTHER_TEXTS = auto()
    MULTI_HOP = auto()
    STORIES = auto()
    SHORT = auto()
    GENUINE = auto()
    """Unanswerable: people wrote the question for its context."""
    DISTRACTORS = auto()
    """Unanswerable: the paragraphs beside the ones that answer."""
    CHANGED = auto()
    """Unanswerable: another entity, number, year or opposite in the question."""
    OTHER_PARAGRAPH = auto()
    """Unanswerable: a question on another paragraph."""
    EMPTY = auto()
    """Windows of answerable rows that do not hold the answer."""


SHARES: Mapping[Group, float] = {
    Group.SQUAD: 0.34,
    Group.WIKIPEDIA: 0.10,
    Group.OTHER_TEXTS: 0.13,
    Group.MULTI_HOP: 0.04,
    Group.STORIES: 0.05,
    Group.SHORT: 0.07,
    Group.GENUINE: 0.06,
    Group.DISTRACTORS: 0.02,
    Group.CHANGED: 0.08,
    Group.OTHER_PARAGRAPH: 0.09,
    Group.EMPTY: 0.02,
}
SHARE_SPREAD = 0.3
"""Standard deviation of the logarithm of a share, for mixtures that differ."""

_ANSWERABLE = (
    (("squad_", "squad2_"), Group.SQUAD),
    (("mlqa_", "qed_", "tydiqa_", "nq_open"), Group.WIKIPEDIA),
    (("squadshifts_",), Group.OTHER_TEXTS),
    (("hotpotqa", "2wiki", "musique", "timeqa"), Group.MULTI_HOP),
    (("narrativeqa", "fairytaleqa", "tatqa", "molweni"), Group.STORIES),
)


def group_of(row: Row) -> Group:
    """The group of a row; sources that are not listed have short contexts."""
    if row.start is None:
        if row.kind == "genuine":
            return Group.GENUINE
        if row.kind == "distractors":
            return Group.DISTRACTORS
        return Group.CHANGED if row.kind.startswith("swap_") else Group.OTHER_PARAGRAPH
    for prefixes, group in _ANSWERABLE:
        if row.source.startswith(prefixes):
            return group
    return Group.SHORT


def spread(shares: Mapping[Group, float], generator: np.random.Generator) -> dict[Group, float]:
    """Other shares of the same groups: each is multiplied by a random factor near 1."""
    factors = np.exp(generator.normal(0, SHARE_SPREAD, len(shares)))
    changed = {group: share * f for (group, share), f in zip(shares.items(), factors, strict=True)}
    whole = sum(changed.values())
    return {group: share / whole for group, share in changed.items()}


def draw(
    groups: NDArray[np.uint8],
    shares: Mapping[Group, float],
    count: int,
    generator: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """Numbers of windows, `count` at a time, without end.

    `groups` (n,) has the group of each window. A group is drawn by its share, and of the group each
    window once before any again. Groups without windows give none.
    """
    members = {each: np.flatnonzero(groups == each) for each in shares if (groups == each).any()}
    weights = np.array([shares[each] for each in members])
    waiting = {each: np.empty(0, np.int64) for each in members}
    while True:
        chosen = []
        counts = generator.multinomial(count, weights / weights.sum())
        for group, number in zip(members, counts, strict=True):
            while len(waiting[group]) < number:
                again = generator.permutation(members[group])
                waiting[group] = np.concatenate([waiting[group], again])
            chosen.append(waiting[group][:number])
            waiting[group] = waiting[group][number:]
        yield np.concatenate(chosen)
