"""A text encoded piece by piece has the tokens that it has encoded at once."""

from collections.abc import Callable
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Encoding, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordPiece

from tests.examples import examples
from tests.inference.texts import PIECES
from worker.inference.text_encoder import PIECE, TextEncoder, Tokens
from worker.inference.tokenizer import open_tokenizer
from worker.models.bundle import DEFAULT_BUNDLE, open_bundle

pytestmark = pytest.mark.long

LEAST_PIECE = 1
"""The encoder takes the smallest piece that its margins allow."""

BREAKS = st.sampled_from(["", " ", " " * 300, "\n", ",", "\u0301", "\u200b" * 150, "_", "東"])
PARTS = st.tuples(
    st.sampled_from([*PIECES, "covid19", "New York", "a", "x" * 101, "東京", "é", "\u0323\u0301"])
    | st.text(max_size=6),
    BREAKS,
    st.integers(1, 90),
)
LONG_TEXTS = st.lists(PARTS, max_size=9).map(
    lambda parts: "".join((text + between) * count for text, between, count in parts)[:4_000]
)


def default() -> Tokenizer:
    return open_tokenizer(open_bundle(DEFAULT_BUNDLE).tokenizer_file)


def cased() -> Tokenizer:
    tokenizer = default()
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    return tokenizer


def composing() -> Tokenizer:
    """Other parts of the library that split at white space and punctuation."""
    tokenizer = default()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()]
    )
    return tokenizer


def added(**options: bool) -> Tokenizer:
    tokenizer = default()
    tokenizer.add_tokens([AddedToken(text, **options) for text in ("covid19", "New York", "東京a")])
    return tokenizer


def metaspace() -> Tokenizer:
    """Marks the beginning of a text like a space before it: a piece begins unlike its text."""
    letters = ["[UNK]", "▁", "a", "b", "N", "e", "w", "▁a", "▁New"]
    tokenizer = Tokenizer(WordPiece({text: n for n, text in enumerate(letters)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def without_words() -> Tokenizer:
    """The whole text is one word."""
    return Tokenizer(BPE({"a": 0, " ": 1, "x": 2, "a ": 3}, [("a", " ")]))


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "default": default,
    "cased": cased,
    "composing": composing,
    "added tokens": added,
    "added words": lambda: added(single_word=True),
    "added with spaces": lambda: added(lstrip=True, rstrip=True),
    "added, as typed": lambda: added(normalized=False),
    "metaspace": metaspace,
    "without words": without_words,
}


@pytest.fixture(params=list(TOKENIZERS), scope="module")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]()


def at_once(tokenizer: Tokenizer, text: str) -> Tokens:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    words = encoding.word_ids
    begins = [place == 0 or words[place] != words[place - 1] for place in range(len(words))]
    return Tokens(
        np.array(encoding.ids, np.int64),
        np.array(encoding.offsets, np.int64).reshape(-1, 2),
        np.array(begins, np.bool_),
    )


@given(text=LONG_TEXTS)
@examples(60)
def test_pieces_have_the_tokens_of_the_whole_text(tokenizer: Tokenizer, text: str) -> None:
    tokens, expected = (
        TextEncoder(tokenizer, piece=LEAST_PIECE).encode(text),
        at_once(tokenizer, text),
    )
    assert len(tokens) == len(expected)
    assert tokens.starts_with(expected)
    assert tokens.whole


@given(text=LONG_TEXTS, limit=st.integers(0, 400), off=st.none() | st.integers(-2, 2))
@examples(60)
def test_a_text_has_too_many_tokens_in_pieces_where_it_has_at_once(
    tokenizer: Tokenizer, text: str, limit: int, off: int | None
) -> None:
    expected = at_once(tokenizer, text)
    if off is not None:
        limit = max(0, len(expected) + off)
    tokens = TextEncoder(tokenizer, piece=LEAST_PIECE).encode(text, max_tokens=limit)
    assert (len(tokens) > limit) == (len(expected) > limit)
    assert expected.starts_with(tokens)
    assert tokens.whole == (len(tokens) == len(expected))


UNITS = ["1,", "東", "a\u0301 ", "Words, 東京 cafe\u0301s and 3.14 % 👩‍👧\u200b. ", "‼\u200d"]


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the texts that the tokenizer gets."""
    noted: list[int] = []
    encode = TextEncoder._encoding

    def noting(self: TextEncoder, text: str) -> Encoding:
        noted.append(len(text))
        return encode(self, text)

    monkeypatch.setattr(TextEncoder, "_encoding", noting)
    return noted


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_text_is_never_encoded_at_once(lengths: list[int], unit: str) -> None:
    text, encoder = unit * (10 * PIECE // len(unit)), TextEncoder(default())
    assert encoder.encode(text).whole
    assert len(lengths) >= 10
    assert max(lengths) < 1.1 * PIECE
    lengths.clear()
    assert not encoder.encode(text, max_tokens=100).whole
    assert len(lengths) == 1


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_word_takes_little_with_it(lengths: list[int], unit: str) -> None:
    text = " ".join(["x" * (5 * PIECE), unit * (5 * PIECE // len(unit))])
    TextEncoder(default()).encode(text)
    assert max(lengths) < 6.2 * PIECE


def test_other_threads_run_while_a_long_word_is_encoded() -> None:
    """Heartbeats, for example."""
    encoder = TextEncoder(default())
    started, ended = Event(), Event()

    def encode() -> None:
        started.set()
        encoder.encode("\uac01" * 300_000)
        ended.set()

    thread = Thread(target=encode)
    thread.start()
    started.wait()
    turns = 0
    while not ended.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 20
