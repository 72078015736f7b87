"""Classification of gold answers by the XQuAD comparison, on small examples."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.inference.bundles import bert_tokenizer, write_bundle
from tests.parity.words import words_of
from tests.parity.xquad import Counts, Gold, Passage
from worker.inference.question_answering.windows import Windower
from worker.models.bundle import open_bundle

CONTEXT = "the redtop\u200b x ran"


@pytest.fixture
def windower(tmp_path: Path) -> Windower:
    tokenizer = bert_tokenizer(["the", "red", "##top", "ran", "x"])
    return Windower(open_bundle(write_bundle(tmp_path / "b", tokenizer=tokenizer)), max_tokens=32)


def counts_of(windower: Windower, text: str, start: int) -> Counts:
    counts = Counts()
    passage = Passage(CONTEXT, (Gold(text, start),))
    encoded = windower.tokenize_context(CONTEXT)
    counts.add(passage, passage.golds[0], words_of(CONTEXT), encoded)
    return counts


@pytest.mark.parametrize(
    ("text", "start", "on_words", "lost", "aligned"),
    [
        ("redtop", 4, 1, {}, "redtop"),
        ("the redtop", 0, 1, {}, "the redtop"),
        # Ends between two tokens of a word: reproduced, and longer with alignment.
        ("red", 4, 0, {}, "redtop"),
        ("redt", 4, 0, {"inside a token": 1}, "redtop"),
        ("the ", 0, 0, {"edge without a token": 1}, "the"),
        ("\u200b", 10, 0, {"edge without a token": 1}, ""),
        ("the", 1, 0, {"wrong offset": 1}, None),
    ],
)
def test_answers_are_classified_by_word_borders(
    windower: Windower,
    text: str,
    start: int,
    on_words: int,
    lost: Mapping[str, int],
    aligned: str | None,
) -> None:
    counts = counts_of(windower, text, start)
    assert (counts.total, counts.on_words, counts.on_words_reproduced) == (1, on_words, on_words)
    assert counts.lost == lost
    assert counts.reproduced == (not lost)
    assert counts.aligned_equal == (aligned == text)
    assert counts.aligned_lengths == ([] if aligned is None else [len(aligned)])


def test_lost_answer_is_reported(tmp_path: Path) -> None:
    # The encoding of a shorter context has no token of the answer.
    counts = Counts()
    tokenizer = bert_tokenizer(["x"])
    windower = Windower(
        open_bundle(write_bundle(tmp_path / "b", tokenizer=tokenizer)), max_tokens=32
    )
    passage = Passage(CONTEXT, (Gold("ran", 14),))
    counts.add(passage, passage.golds[0], words_of(CONTEXT), windower.tokenize_context("the"))
    assert (counts.on_words, counts.on_words_reproduced) == (1, 0)
    assert counts.examples == ["'ran' as '' in 'redtop\\u200b x ran'"]
