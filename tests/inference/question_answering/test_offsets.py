"""Where tokens come from: spans of code points, for every script."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given

from tests.examples import examples
from tests.inference.texts import ANYTHING, LONG
from worker.inference.question_answering.windows import EncodedContext, Windower


def pieces(windower: Windower, text: str) -> list[str]:
    context = windower.tokenize_context(text)
    return [text[a:b] for a, b in zip(context.starts, context.ends, strict=True)]


def words(windower: Windower, text: str) -> list[str]:
    """The text of each run of tokens that belong to one word."""
    context = windower.tokenize_context(text)
    bounds = dict.fromkeys(
        zip(context.word_first.tolist(), context.word_last.tolist(), strict=True)
    )
    return [text[context.starts[first] : context.ends[last]] for first, last in bounds]


@given(ANYTHING | LONG)
@examples(150)
def test_every_token_is_some_text_and_they_come_in_order(windower: Windower, text: str) -> None:
    context = windower.tokenize_context(text)
    assert (context.starts < context.ends).all()
    assert (context.ends <= len(text)).all()
    assert (np.diff(context.starts) >= 0).all()
    assert (np.diff(context.ends) >= 0).all()


@given(ANYTHING | LONG)
@examples(150)
def test_every_span_of_tokens_is_some_text(windower: Windower, text: str) -> None:
    context = windower.tokenize_context(text)
    for first in range(len(context.ids)):
        assert (context.ends[first:] > context.starts[first]).all()


@given(ANYTHING | LONG)
@examples(150)
def test_no_token_ends_before_a_mark_that_no_token_has(windower: Windower, text: str) -> None:
    context = windower.tokenize_context(text)
    following = [*context.starts[1:].tolist(), len(text)]
    for end, limit in zip(context.ends.tolist(), following, strict=False):
        assert end >= limit or not unicodedata.category(text[end]).startswith("M")


@given(ANYTHING | LONG)
@examples(150)
def test_words_are_runs_of_tokens_that_hold_their_own(windower: Windower, text: str) -> None:
    context = windower.tokenize_context(text)
    places = np.arange(len(context.ids))
    assert (context.word_first <= places).all()
    assert (places <= context.word_last).all()
    # Each token of a word names the same two ends.
    assert (context.word_first[context.word_first] == context.word_first).all()
    assert (context.word_last[context.word_first] == context.word_last).all()
    assert_adjacent(context)


def assert_adjacent(context: EncodedContext) -> None:
    begins = context.word_first[1:] != context.word_first[:-1]
    assert (context.word_first[1:][begins] == context.word_last[:-1][begins] + 1).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada wrote it.", ["Ada", "wrote", "it", "."]),
        ("unbelievably so", ["unbelievably", "so"]),
        ("cafe\u0301 cafés", ["cafe\u0301", "cafés"]),
        ("x\u0301\u0302\u0303 y", ["x\u0301\u0302\u0303", "y"]),
        ("in 東京 now", ["in", "東", "京", "now"]),
        ("אבג דהו", ["אבג", "דהו"]),
        ("نَصٌّ عربي", ["نَصٌّ", "عربي"]),
        ("한국어 말", ["한국어", "말"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("a 👩‍👩‍👧 b", ["a", "👩‍👩‍👧", "b"]),
        ("a 👍🏽 b", ["a", "👍🏽", "b"]),
        ("a 🏴\U000e0067\U000e0062\U000e007f b", ["a", "🏴\U000e0067\U000e0062\U000e007f", "b"]),
        ("می\u200cخواهم\u200c or", ["می\u200cخواهم\u200c", "or"]),
        ("Donau\u00addampf\u00ad so", ["Donau\u00addampf\u00ad", "so"]),
        ("\u200fכהן\u200f.", ["כהן\u200f", "."]),
        ("to\u2060, on", ["to\u2060", ",", "on"]),
        # Not a part of the word: half of a pair, and a separator.
        ("\u2067כהן\u2069 on", ["כהן", "on"]),
        ("on\u200b so", ["on", "so"]),
        ("3.14%", ["3", ".", "14", "%"]),
        ("\ufeffBOM\r\nline", ["BOM", "line"]),
    ],
    ids=lambda value: ascii(value) if isinstance(value, str) else "",
)
def test_words_of_many_scripts_are_whole(
    windower: Windower, text: str, expected: list[str]
) -> None:
    assert words(windower, text) == expected


def test_a_token_that_lost_its_accent_keeps_it_in_its_text(windower: Windower) -> None:
    assert pieces(windower, "cafe\u0301") == ["cafe\u0301"]


def test_a_combining_mark_after_a_space_joins_no_token(windower: Windower) -> None:
    # After a space there is no letter that it could combine with.
    assert pieces(windower, "a \u0301b") == ["a", "b"]


def test_a_text_is_encoded_whole_and_no_more(windower: Windower) -> None:
    # The default model's tokenizer file asks for 128 tokens, cut off or filled up.
    assert len(windower.tokenize_context("word " * 1_000).ids) == 1_000
    assert len(windower.tokenize_context("word").ids) == 1


def test_a_blank_text_has_no_tokens(windower: Windower) -> None:
    context = windower.tokenize_context(" \n ")
    assert [len(array) for array in (context.ids, context.starts, context.word_first)] == [0, 0, 0]
