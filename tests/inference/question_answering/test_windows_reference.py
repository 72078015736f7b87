"""Our windows are those that `tokenizers` itself makes of a pair."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.examples import examples
from tests.inference.texts import ANYTHING, LONG
from worker.inference.question_answering.windows import SPECIAL_TOKENS, Windower
from worker.models.bundle import Bundle

MAX_TOKENS = (12, 17, 32, 64)


@pytest.fixture(scope="module")
def windowers(default_bundle: Bundle) -> dict[int, Windower]:
    return {size: Windower(default_bundle, max_tokens=size) for size in MAX_TOKENS}


@pytest.fixture(scope="module")
def tokenizer(default_bundle: Bundle) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(default_bundle.tokenizer_file))
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


@given(
    question=ANYTHING,
    context=LONG,
    max_tokens=st.sampled_from(MAX_TOKENS),
    stride=st.integers(0, 40),
)
@examples(120)
def test_windows_are_those_of_the_tokenizers_own_pair_encoding(
    windowers: dict[int, Windower],
    tokenizer: Tokenizer,
    question: str,
    context: str,
    max_tokens: int,
    stride: int,
) -> None:
    windower = windowers[max_tokens]
    length = len(tokenizer_alone(tokenizer, question))
    assume(0 < length <= max_tokens // 2)
    ids = windower.tokenize_question(question, max_tokens=max_tokens // 2)
    encoded = windower.tokenize_context(context)
    ours = windower.split(ids, encoded, stride=stride, max_windows=1_000)
    assume(ours)

    capacity = max_tokens - length - SPECIAL_TOKENS
    tokenizer.enable_truncation(
        max_tokens, stride=min(stride, capacity // 2), strategy="only_second"
    )
    first = tokenizer.encode(question, context)
    theirs = [first, *first.overflowing]

    assert [window.ids.tolist() for window in ours] == [other.ids for other in theirs]
    assert [window.types.tolist() for window in ours] == [other.type_ids for other in theirs]
    for window, other in zip(ours, theirs, strict=True):
        places = [place for place, text in enumerate(other.sequence_ids) if text == 1]
        assert (window.offset, window.count) == (places[0], len(places))
        # Ours may end later, behind marks that the normalizer drops; never elsewhere.
        starts = encoded.starts[window.first : window.first + window.count]
        ends = encoded.ends[window.first : window.first + window.count]
        assert starts.tolist() == [other.offsets[place][0] for place in places]
        assert (ends >= [other.offsets[place][1] for place in places]).all()


def tokenizer_alone(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.no_truncation()
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids
