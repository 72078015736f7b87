"""Answers grow to whole words, also where an added token cuts them."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer

from schemas.answer import Answer
from schemas.question import Question, ReadingOptions
from tests.inference.bundles import SPECIALS, bert_tokenizer, write_bundle
from tests.inference.graphs import table_model
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.windows import Windower
from worker.models.bundle import BundleError, open_bundle

VOCABULARY = ["19", "##19", "a", "x", "-", "東", "京", "b"]


def tokenizer(*added: AddedToken) -> Tokenizer:
    made = bert_tokenizer(VOCABULARY)
    made.add_tokens(list(added))
    return made


COVID = tokenizer(AddedToken("covid", normalized=True))


def answer(tokenizer: Tokenizer, directory: Path, context: str, **options: bool) -> str:
    """Of a model that always answers with "19", or else with "covid"."""
    logits = np.zeros(tokenizer.get_vocab_size())
    logits[len(SPECIALS)] = 9
    if "covid" in tokenizer.get_vocab():
        logits[tokenizer.token_to_id("covid")] = 5
    model = table_model(logits, logits)
    bundle = open_bundle(write_bundle(directory / "x", model=model, tokenizer=tokenizer))
    question = Question(
        id="1", question="a", context=context, options=ReadingOptions.model_validate(options)
    )
    with InferenceEngine(bundle, InferenceOptions(threads=1)) as engine:
        outcome = engine.submit(question).result(30).outcome
    assert isinstance(outcome, Answer)
    return outcome.answer


@pytest.mark.parametrize(
    ("context", "whole"),
    [
        ("a covid19 b", "covid19"),
        ("a COVID19, b", "COVID19"),
        ("a xcovid19x b", "xcovid19x"),
        ("a covidcovid b", "covidcovid"),
        # As without the added token, these are words of their own.
        ("a covid 19 b", "19"),
        ("a covid-19 b", "19"),
        ("a covid東 b", "covid"),
    ],
)
def test_words_are_those_without_added_tokens(tmp_path: Path, context: str, whole: str) -> None:
    assert answer(COVID, tmp_path, context) == whole


def test_tokens_stay_those_of_the_training(tmp_path: Path) -> None:
    assert answer(COVID, tmp_path, "a covid19 b", align_to_words=False) == "19"


@pytest.mark.parametrize("side", ["lstrip", "rstrip"])
def test_added_tokens_that_take_spaces_are_refused(tmp_path: Path, side: str) -> None:
    taking = AddedToken("covid", lstrip=side == "lstrip", rstrip=side == "rstrip")
    bundle = open_bundle(write_bundle(tmp_path / "x", tokenizer=tokenizer(taking)))
    with pytest.raises(BundleError) as caught:
        Windower(bundle, max_tokens=32)
    assert str(caught.value) == (
        f"{bundle.tokenizer_file}: the added token 'covid' takes the spaces beside it ({side}), "
        f"which answers would begin or end with; set {side} to false"
    )


def test_special_tokens_may_take_spaces(tmp_path: Path) -> None:
    mask = AddedToken("[MASK]", lstrip=True, special=True)
    assert answer(tokenizer(mask), tmp_path, "a [MASK] 19 b") == "19"
