"""The words of `words_of` equal the words of the worker's tokenizer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parity.words import words_of
from worker.inference.question_answering.windows import Windower
from worker.models.bundle import DEFAULT_BUNDLE, open_bundle

CLUSTERS = [
    *"aZé东あ한ก7",
    "e\u0301",
    "हि",
    "ก็",
    "нй",
    "👩‍👧",
    "👍🏽",
    *".,'-#$[«。",
    *" \t\n\u00a0\u3000",
    *"\u200b\u200c\u00ad\ufeff\x00\x85\ufffd\ue000",
    "\U000e0fff",
]
"""Combining marks follow letters: an uncased tokenizer drops a mark without a letter."""


@pytest.fixture(scope="module")
def windower() -> Windower:
    return Windower(open_bundle(DEFAULT_BUNDLE), max_tokens=512)


@given(st.lists(st.sampled_from(CLUSTERS), max_size=24).map("".join))
def test_every_word_begins_and_ends_with_a_token(windower: Windower, text: str) -> None:
    words, context = words_of(text), windower.tokenize_context(text)
    assert sorted(words.starts) == np.unique(context.starts[context.word_first]).tolist()
    assert sorted(words.ends) == np.unique(context.ends[context.word_last]).tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada wrote it.", ["Ada", "wrote", "it", "."]),
        ("so-called", ["so", "-", "called"]),
        ("東京に", ["東", "京", "に"]),
        ("soft\u00adhyphen \u200bstart", ["soft\u00adhyphen", "start"]),
        ("ฉันรักเธอ มาก", ["ฉันรักเธอ", "มาก"]),
        (" \n", []),
    ],
)
def test_words_match_the_expected(text: str, words: list[str]) -> None:
    actual = words_of(text)
    pairs = zip(sorted(actual.starts), sorted(actual.ends), strict=True)
    assert [text[start:end] for start, end in pairs] == words
