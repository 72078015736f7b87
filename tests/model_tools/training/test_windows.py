"""Windows of training rows: the tokens between start and end are the answer."""

import pytest
from tokenizers import Tokenizer

from tests.model_tools.training.rows import CONTEXT, row
from worker.model_tools.training.rows import Row
from worker.model_tools.training.windows import (
    CLS,
    MAX_TOKENS,
    SEP,
    TrainingWindow,
    open_tokenizer,
    windows_of_rows,
)
from worker.models.bundle import DEFAULT_BUNDLE

LONG = "It rained on the rock. " * 200 + CONTEXT + " The sea was calm." * 200


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return open_tokenizer(str(DEFAULT_BUNDLE / "tokenizer.json"))


def windows_of(tokenizer: Tokenizer, row: Row) -> list[TrainingWindow]:
    [(same, windows)] = windows_of_rows(tokenizer, [row])
    assert same is row
    return windows


def test_the_tokens_of_the_answer_are_marked(tokenizer: Tokenizer) -> None:
    [window] = windows_of(tokenizer, row("dried cod"))
    assert tokenizer.decode(window.ids[window.start : window.end + 1]) == "dried cod"
    assert (window.ids[0], window.ids[-1], window.ids[window.context - 1]) == (CLS, SEP, SEP)


def test_an_unanswerable_row_is_at_cls(tokenizer: Tokenizer) -> None:
    [window] = windows_of(tokenizer, row(None))
    assert (window.start, window.end) == (0, 0)


def test_every_window_of_a_long_context_has_the_whole_answer_or_none(tokenizer: Tokenizer) -> None:
    windows = windows_of(tokenizer, row("Bergen", context=LONG))
    answers = [tokenizer.decode(each.ids[each.start : each.end + 1]) for each in windows]
    assert max(len(each.ids) for each in windows) == MAX_TOKENS
    assert set(answers) == {"bergen", ""}
    assert tokenizer.decode(windows[-1].ids).endswith("the sea was calm.")


def test_a_window_that_cuts_the_answer_is_without_it(tokenizer: Tokenizer) -> None:
    answer = "left Bergen with dried cod"
    cut = 0
    for words in range(360, 384):
        context = "rain " * words + CONTEXT + " sea" * 300
        windows = windows_of(tokenizer, row(answer, context=context))
        marked = [each for each in windows if each.start]
        assert {tokenizer.decode(e.ids[e.start : e.end + 1]) for e in marked} == {answer.lower()}
        cut += any(tokenizer.decode(e.ids).endswith("left bergen") for e in windows)
    assert cut > 0


def test_rows_keep_their_order(tokenizer: Tokenizer) -> None:
    rows = [row(id=str(n), context=f"{n} " + CONTEXT) for n in range(1500)]
    found = list(windows_of_rows(tokenizer, rows))
    assert [each for each, _ in found] == rows
    [window] = found[1234][1]
    assert tokenizer.decode(window.ids[window.context :]).startswith("1234 the halcyon")
