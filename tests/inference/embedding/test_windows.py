"""A text cut into windows: [CLS] piece [SEP], every token once, and what cannot be cut."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from schemas.rejection import Reason, Rejected
from tests.examples import examples
from tests.inference.bundles import SPECIALS, WORDS, bert_tokenizer
from tests.inference.embeddings import CAPACITY, MAX_TOKENS, write_embedding_bundle
from worker.inference.embedding.windows import TextWindower
from worker.models.bundle import BundleError, open_bundle

CLS, SEP = SPECIALS.index("[CLS]"), SPECIALS.index("[SEP]")


@pytest.fixture(scope="module")
def windower(tmp_path_factory: pytest.TempPathFactory) -> TextWindower:
    directory = write_embedding_bundle(tmp_path_factory.mktemp("texts") / "tiny")
    return TextWindower(open_bundle(directory), max_tokens=MAX_TOKENS)


@given(words=st.lists(st.sampled_from(list(WORDS)), min_size=1, max_size=60))
@examples(200)
def test_every_token_stands_in_one_window_in_its_order(
    windower: TextWindower, words: list[str]
) -> None:
    windows = windower.split(" ".join(words), max_windows=60)
    ids = bert_tokenizer(list(WORDS)).encode(" ".join(words), add_special_tokens=False).ids
    assert [token for window in windows for token in window.ids[1:-1].tolist()] == ids
    assert sum(window.count for window in windows) == len(ids)
    for window in windows:
        assert (window.ids[0], window.ids[-1]) == (CLS, SEP)
        assert len(window) == window.count + 2 <= MAX_TOKENS
        assert window.offset == 1
        assert not window.types.any()
    for window, following in pairwise(windows):
        assert window.count == CAPACITY
        assert following.first == window.first + CAPACITY


def test_one_window_is_what_the_tokenizer_makes_of_the_text(windower: TextWindower) -> None:
    (window,) = windower.split("answer a b", max_windows=1)
    assert window.ids.tolist() == bert_tokenizer(list(WORDS)).encode("answer a b").ids
    assert window.ids.dtype == window.types.dtype == np.int64


def test_a_special_token_typed_by_a_user_is_text(windower: TextWindower) -> None:
    (window,) = windower.split("a [SEP] b", max_windows=1)
    assert window.ids.tolist().count(SEP) == 1


def test_as_many_windows_as_allowed_are_cut_and_one_more_is_refused(
    windower: TextWindower,
) -> None:
    assert len(windower.split("a " * 3 * CAPACITY, max_windows=3)) == 3
    with pytest.raises(Rejected) as caught:
        windower.split("a " * (3 * CAPACITY + 1), max_windows=3)
    assert caught.value.reason is Reason.TEXT_TOO_LONG
    assert caught.value.detail == (
        "the text has 31 tokens, which takes 4 windows of 12; the limit is 3 windows"
    )


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\x00\x01"])
def test_a_text_that_the_model_cannot_see_is_refused(windower: TextWindower, text: str) -> None:
    with pytest.raises(Rejected) as caught:
        windower.split(text, max_windows=3)
    assert caught.value.reason is Reason.SCHEMA
    assert caught.value.detail == "text: holds nothing that the model can read"


@pytest.mark.parametrize(
    ("single", "shown"),
    [
        ("$A", "a"),
        ("[CLS] $A", r"\[CLS\] a"),
        ("$A [SEP]", r"a \[SEP\]"),
        ("[CLS] [CLS] $A [SEP]", r"\[CLS\] \[CLS\] a \[SEP\]"),
        ("[CLS]:0 $A:1 [SEP]:1", r"\[CLS\] a \[SEP\], with the token types \[0, 1, 1\]"),
        ("[CLS] [SEP]", r"\[CLS\] \[SEP\]"),
    ],
)
def test_a_tokenizer_that_builds_a_text_in_another_way_is_refused(
    tmp_path: Path, single: str, shown: str
) -> None:
    tokenizer = bert_tokenizer(list(WORDS))
    tokenizer.post_processor = TemplateProcessing(
        single=single, pair="$A $B:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    bundle = open_bundle(write_embedding_bundle(tmp_path / "odd", tokenizer=tokenizer))
    with pytest.raises(BundleError, match=f"a text is encoded as {shown}"):
        TextWindower(bundle, max_tokens=MAX_TOKENS)


def test_other_names_for_the_same_two_places_are_as_good(tmp_path: Path) -> None:
    tokenizer = bert_tokenizer(["<s>", "</s>", *WORDS])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 4), ("</s>", 5)],
    )
    bundle = open_bundle(write_embedding_bundle(tmp_path / "other", tokenizer=tokenizer))
    (window,) = TextWindower(bundle, max_tokens=MAX_TOKENS).split("a", max_windows=1)
    assert window.ids.tolist() == tokenizer.encode("a").ids
