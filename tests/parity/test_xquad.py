"""What the XQuAD tool says of an answer, on words of our own."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.inference.bundles import bert_tokenizer, write_bundle
from tests.parity.words import words_of
from tests.parity.xquad import Found, Gold, Passage
from worker.inference.question_answering.windows import Windower
from worker.models.bundle import open_bundle

CONTEXT = "the redtop\u200b x ran"


@pytest.fixture
def windower(tmp_path: Path) -> Windower:
    tokenizer = bert_tokenizer(["the", "red", "##top", "ran", "x"])
    return Windower(open_bundle(write_bundle(tmp_path / "b", tokenizer=tokenizer)), max_tokens=32)


def counted(windower: Windower, text: str, start: int) -> Found:
    found = Found()
    passage = Passage(CONTEXT, (Gold(text, start),))
    encoded = windower.tokenize_context(CONTEXT)
    found.count(passage, passage.golds[0], words_of(CONTEXT), encoded)
    return found


@pytest.mark.parametrize(
    ("text", "start", "on_words", "lost", "aligned"),
    [
        ("redtop", 4, 1, {}, "redtop"),
        ("the redtop", 0, 1, {}, "the redtop"),
        # Between two tokens of one word: it comes back, and grows when aligned.
        ("red", 4, 0, {}, "redtop"),
        ("redt", 4, 0, {"in a token": 1}, "redtop"),
        ("the ", 0, 0, {"bare edge": 1}, "the"),
        ("\u200b", 10, 0, {"bare edge": 1}, ""),
        ("the", 1, 0, {"misplaced": 1}, None),
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
    found = counted(windower, text, start)
    assert (found.total, found.on_words, found.on_words_back) == (1, on_words, on_words)
    assert found.lost == lost
    assert found.back == (not lost)
    assert found.aligned_back == (aligned == text)
    assert found.aligned_lengths == ([] if aligned is None else [len(aligned)])


def test_lost_answer_is_reported(tmp_path: Path) -> None:
    # A word of one letter is cut out of the encoding of a context that lacks the others.
    found = Found()
    tokenizer = bert_tokenizer(["x"])
    windower = Windower(
        open_bundle(write_bundle(tmp_path / "b", tokenizer=tokenizer)), max_tokens=32
    )
    passage = Passage(CONTEXT, (Gold("ran", 14),))
    found.count(passage, passage.golds[0], words_of(CONTEXT), windower.tokenize_context("the"))
    assert (found.on_words, found.on_words_back) == (1, 0)
    assert found.examples == ["'ran' as '' in 'redtop\\u200b x ran'"]
