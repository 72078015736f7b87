"""Answers begin and end between grapheme clusters (Unicode Standard Annex 29)."""

from itertools import accumulate
from random import Random

import numpy as np
import regex
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.inference.texts import PIECES
from worker.inference.question_answering.graphemes import Graphemes
from worker.inference.question_answering.spans import SpanOptions, rank_spans
from worker.inference.question_answering.windows import Windower

JOINING = [
    "\r\n",
    "a\u0308",
    "\u200d",
    "\ufe0f",
    "\u00ad",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "🇫",
    "‼\u200d‼",  # punctuation, so each is a token
    "👍🏽",
    "\u1100",  # Hangul: leading consonant, vowel, trailing consonant
    "\u1161",
    "\u11a8",
    "각",
    "क\u094dष",  # a conjunct
    "ก\u0e33",  # a spacing mark that is a letter
    "\u0600",  # stands before digits
    "\u0d4e.",  # a letter that stands before others
    "5",
    "東",
    "東\U000e0100",
]
TEXTS = st.lists(
    st.sampled_from([*JOINING, *PIECES, " "]) | st.text(max_size=3), min_size=1, max_size=25
).map("".join)


def borders(text: str) -> set[int]:
    """Where clusters begin and end, by splitting the whole text."""
    return {0, *accumulate(map(len, regex.findall(r"\X", text)))}


@given(TEXTS, st.randoms(use_true_random=False))
@examples(300)
def test_a_span_grows_to_the_nearest_borders(text: str, random: Random) -> None:
    graphemes, every = Graphemes(text), borders(text)
    places = list(range(len(text) + 1))
    random.shuffle(places)
    for place in places:
        start = max(border for border in every if border <= place)
        end = min(border for border in every if border >= place)
        assert graphemes.cover(place, place) == (start, end)


@given(
    text=TEXTS,
    seed=st.integers(0, 2**32 - 1),
    top_k=st.integers(1, 8),
    align_to_words=st.booleans(),
)
@examples(200)
def test_no_chosen_span_divides_a_cluster(
    windower: Windower, text: str, seed: int, top_k: int, align_to_words: bool
) -> None:
    context = windower.tokenize_context(text)
    question = windower.tokenize_question("Who?", max_tokens=10)
    numbers = np.random.default_rng(seed)
    read = [
        (window, *numbers.normal(size=(2, len(window))).astype(np.float32) * 4)
        for window in windower.split(question, context, stride=8, max_windows=9)
    ]
    options = SpanOptions(
        top_k=top_k, max_answer_tokens=15, align_to_words=align_to_words, no_answer=False
    )
    spans = rank_spans(text, context, read, options)
    places = [(span.start, span.end) for span in spans]
    assert {place for span in places for place in span} <= borders(text)
    assert len(set(places)) == len(places)
    assert [text[start:end] for start, end in places] == [span.answer for span in spans]
