"""Questions as tokens: how long they may be, and what a user may type into them."""

import pytest

from schemas.rejection import Reason, Rejected
from worker.inference.question_answering.windows import Windower

CLS, SEP, MASK = 101, 102, 103


def test_a_question_of_exactly_the_limit_is_read_and_one_token_more_is_not(
    windower: Windower,
) -> None:
    assert len(windower.tokenize_question("who " * 16, max_tokens=16)) == 16
    with pytest.raises(Rejected) as caught:
        windower.tokenize_question("who " * 17, max_tokens=16)
    assert caught.value.reason is Reason.QUESTION_TOO_LONG
    assert caught.value.detail == "the question has 17 tokens, the limit is 16"


def test_a_very_long_question_is_refused_like_any_other(windower: Windower) -> None:
    # A pair with such a question makes `tokenizers` panic.
    with pytest.raises(Rejected) as caught:
        windower.tokenize_question("who " * 100_000, max_tokens=256)
    assert caught.value.reason is Reason.QUESTION_TOO_LONG


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\x00\x01", "\u0301"])
def test_a_question_that_the_model_cannot_see_is_refused(windower: Windower, text: str) -> None:
    with pytest.raises(Rejected) as caught:
        windower.tokenize_question(text, max_tokens=16)
    assert caught.value.reason is Reason.SCHEMA


@pytest.mark.parametrize("typed", ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"])
def test_a_special_token_typed_by_a_user_is_text(windower: Windower, typed: str) -> None:
    question = windower.tokenize_question(f"who {typed} wrote", max_tokens=50)
    context = windower.tokenize_context(f"Ada {typed} wrote")
    (window,) = windower.split(question, context, stride=0, max_windows=1)
    specials = [place for place, token in enumerate(window.ids) if token in (CLS, SEP, MASK)]
    assert specials == [0, len(question) + 1, len(window) - 1]
    assert window.ids[specials].tolist() == [CLS, SEP, SEP]
    assert 0 not in window.ids
    assert 100 not in window.ids


def test_a_special_token_in_the_context_has_places_like_other_text(windower: Windower) -> None:
    text = "say [CLS] now"
    context = windower.tokenize_context(text)
    pieces = [text[a:b] for a, b in zip(context.starts, context.ends, strict=True)]
    assert "".join(pieces) == "say[CLS]now"
