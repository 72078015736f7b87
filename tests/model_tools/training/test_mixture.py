"""Shares of the groups of training windows."""

from itertools import islice

import numpy as np
import pytest

from tests.model_tools.training.rows import row
from worker.model_tools.training.mixture import SHARES, Group, draw, group_of, spread


@pytest.mark.parametrize(
    ("source", "group"),
    [
        ("squad_du_test", Group.SQUAD),
        ("squad2_alongott", Group.SQUAD),
        ("squadshifts_reddit", Group.OTHER_TEXTS),
        ("tydiqa_en_train", Group.WIKIPEDIA),
        ("2wikimultihopqa", Group.MULTI_HOP),
        ("narrativeqa", Group.STORIES),
        ("qamr", Group.SHORT),
    ],
)
def test_answerable_rows_are_grouped_by_source(source: str, group: Group) -> None:
    assert group_of(row(source=source)) is group


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("genuine", Group.GENUINE),
        ("distractors", Group.DISTRACTORS),
        ("swap_year", Group.CHANGED),
        ("same_article", Group.OTHER_PARAGRAPH),
    ],
)
def test_unanswerable_rows_are_grouped_by_kind(kind: str, group: Group) -> None:
    assert group_of(row(None, kind=kind)) is group


def test_shares_are_of_one_whole() -> None:
    assert set(SHARES) == set(Group)
    assert sum(SHARES.values()) == pytest.approx(1.0)
    other = spread(SHARES, np.random.default_rng(1))
    assert sum(other.values()) == pytest.approx(1.0)
    assert other != SHARES
    assert all(0.3 < other[group] / SHARES[group] < 3 for group in Group)


def test_windows_are_drawn_by_share_and_each_once_before_any_again() -> None:
    groups = np.array([Group.SQUAD] * 30 + [Group.GENUINE] * 10 + [0] * 5, np.uint8)
    shares = {Group.SQUAD: 0.75, Group.GENUINE: 0.25, Group.SHORT: 0.5}
    drawn = np.concatenate(list(islice(draw(groups, shares, 7, np.random.default_rng(1)), 60)))
    counts = np.bincount(drawn, minlength=45)
    assert counts[40:].sum() == 0
    assert 80 <= counts[30:40].sum() <= 130
    for group in (counts[:30], counts[30:40]):
        assert group.max() - group.min() <= 1
