"""Windows as arrays, and the pairs of questions and contexts that batches are made of."""

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.model_tools.training.rows import CONTEXT, row
from worker.model_tools.training.mixture import Group
from worker.model_tools.training.pairs import (
    OTHER_CONTEXT_SHARE,
    cut,
    other_contexts,
    padded,
    pair_lengths,
)
from worker.model_tools.training.rows import Row
from worker.model_tools.training.window_set import WindowSet, window_set
from worker.model_tools.training.windows import MAX_TOKENS, open_tokenizer, windows_of_rows
from worker.models.bundle import DEFAULT_BUNDLE

LONG = CONTEXT + " It rained on the rock." * 200


def made_of(rows: list[Row]) -> WindowSet:
    tokenizer = open_tokenizer(str(DEFAULT_BUNDLE / "tokenizer.json"))
    return window_set(windows_of_rows(tokenizer, rows))


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    rows = [
        row(id=str(n), title=f"Ship {n % 60}", context=CONTEXT + " It rained." * (n % 50))
        for n in range(600)
    ]
    return made_of(rows)


def test_windows_stand_by_article_and_keep_their_answers(tmp_path: Path) -> None:
    made = made_of(
        [
            row(title="Halcyon", context=LONG),
            row(None, title="Bergen"),
            row(title="", question="What?"),
            row(title="Halcyon"),
            row(title="", question="Where?"),
        ]
    )
    made.save(tmp_path / "windows.npz")
    read = WindowSet.load(tmp_path / "windows.npz")
    assert list(read.articles) == sorted(read.articles)
    assert set(read.rows[read.articles == 0]) == {0, 3}
    assert len(set(read.articles)) == 4
    lacking = read.groups == Group.EMPTY
    assert lacking.sum() > 0
    assert (read.starts[lacking] == 0).all()
    assert (read.groups[read.rows == 1] == Group.GENUINE).all()
    answers = {
        tuple(read.ids[begin + start : begin + end + 1])
        for begin, start, end in zip(read.begins[:-1], read.starts, read.ends, strict=True)
        if start
    }
    assert len(answers) == 1  # "Bergen", in each row with an answer


def test_whole_articles_are_kept_for_validation(windows: WindowSet) -> None:
    kept = set(windows.articles[windows.validation])
    assert 0 < len(kept) < 12
    assert windows.validation[np.isin(windows.articles, list(kept))].all()


def test_parts_hold_every_pair_once_within_their_tokens(windows: WindowSet) -> None:
    questions = np.arange(len(windows.starts))
    contexts = questions[::-1].copy()
    parts = list(cut(windows, questions, contexts, max_tokens=2000))
    assert sorted(np.concatenate([part for part, _ in parts])) == list(questions)
    for part, others in parts:
        assert (others == contexts[part]).all()
        assert len(part) * padded(int(pair_lengths(windows, part, others).max())) <= 2000
    longest = [int(pair_lengths(windows, *part).max()) for part in parts]
    assert all(first <= second for first, second in pairwise(longest))


def test_a_pair_is_as_long_as_question_and_context_and_at_most_a_window() -> None:
    rows = [
        row(title="A"),
        row(title="B", question="Where? " * 30, context=LONG),
        row(title="C", context=LONG),
    ]
    made = made_of(rows)
    short, asked_at_length, told_at_length = (int(np.argmax(made.rows == n)) for n in range(3))
    questions = np.array([short, short, asked_at_length, asked_at_length])
    contexts = np.array([short, asked_at_length, short, told_at_length])
    own, first = made.begins[short + 1] - made.begins[short], made.contexts
    assert list(pair_lengths(made, questions, contexts)) == [
        own,
        first[short] + MAX_TOKENS - first[asked_at_length],
        first[asked_at_length] + own - first[short],
        MAX_TOKENS,
    ]


def test_some_questions_get_another_context_but_none_of_the_validation(windows: WindowSet) -> None:
    training = np.flatnonzero(~windows.validation)
    chosen = np.concatenate([training] * 20)
    others = other_contexts(windows, chosen, np.random.default_rng(1))
    assert not windows.validation[others].any()
    changed = others != chosen
    assert changed.mean() == pytest.approx(OTHER_CONTEXT_SHARE, abs=0.04)
    same_article = windows.articles[others] == windows.articles[chosen]
    assert same_article[changed].mean() == pytest.approx(0.5, abs=0.06)


def test_draws_of_one_seed_are_alike(windows: WindowSet) -> None:
    chosen = np.flatnonzero(~windows.validation)
    first, second = (
        list(islice(other_contexts(windows, chosen, np.random.default_rng(3)), 50))
        for _ in range(2)
    )
    assert first == second
