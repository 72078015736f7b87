"""Only tokenizers with BERT's template are read; others would be fed wrong, and are refused."""

import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel, Metaspace
from tokenizers.processors import BertProcessing, RobertaProcessing, TemplateProcessing

from tests.inference.bundles import WORDS, bert_tokenizer, write_bundle
from worker.inference.embedding.windows import TextWindower
from worker.inference.question_answering.windows import Windower
from worker.models.bundle import BundleError, open_bundle


def roberta_tokenizer() -> Tokenizer:
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "Ġ"]
    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(ids, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = ByteLevel()
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def unigram_tokenizer(pair: str) -> Tokenizer:
    """The model of T5 and XLNet, with a template for pairs."""
    tokens = ["<unk>", "a", "b", "</s>", "<sep>", "<cls>"]
    tokenizer = Tokenizer(Unigram([(token, -1.0) for token in tokens], unk_id=0))
    tokenizer.post_processor = TemplateProcessing(
        single="$A </s>",
        pair=pair,
        special_tokens=[("</s>", 3), ("<sep>", 4), ("<cls>", 5)],
    )
    return tokenizer


def templated(pair: str) -> Tokenizer:
    tokenizer = bert_tokenizer(list(WORDS))
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=pair,
        special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[PAD]", 0)],
    )
    return tokenizer


def with_bert_processing() -> Tokenizer:
    tokenizer = bert_tokenizer(list(WORDS))
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def opened(tokenizer: Tokenizer, directory: Path) -> Windower:
    bundle = open_bundle(write_bundle(directory / "bundle", tokenizer=tokenizer))
    return Windower(bundle, max_tokens=32)


@pytest.mark.parametrize(
    ("tokenizer", "types"),
    [
        (templated("[CLS] $A [SEP] $B:1 [SEP]:1"), [0, 0, 0, 0, 1, 1]),
        (with_bert_processing(), [0, 0, 0, 0, 1, 1]),
        # The model was trained with type 0 for both texts; DistilBERT takes no types.
        (templated("[CLS] $A [SEP] $B [SEP]"), [0, 0, 0, 0, 0, 0]),
    ],
    ids=["template", "BertProcessing", "types all 0"],
)
def test_berts_template_is_read_with_its_token_types(
    tmp_path: Path, tokenizer: Tokenizer, types: list[int]
) -> None:
    windower = opened(tokenizer, tmp_path)
    question = windower.tokenize_question("a b", max_tokens=8)
    (window,) = windower.split(question, windower.tokenize_context("c"), stride=0, max_windows=1)
    a, b, c = (4 + list(WORDS).index(word) for word in "abc")
    assert window.ids.tolist() == [2, a, b, 3, c, 3]
    assert window.types.tolist() == types


@pytest.mark.parametrize(
    ("tokenizer", "seen"),
    [
        (roberta_tokenizer(), "<s> question </s> </s> context </s>"),
        (unigram_tokenizer("$A </s> $B </s>"), "question </s> context </s>"),
        (
            unigram_tokenizer("$A <sep> $B:1 <sep>:1 <cls>:2"),
            "question <sep> context <sep> <cls>",
        ),
        (templated("$A [SEP] $B:1 [SEP]:1"), "question [SEP] context [SEP]"),
        (templated("[CLS] $A [SEP] $B:1"), "[CLS] question [SEP] context"),
        (templated("[CLS] $A [SEP] $B:1 [PAD]:1"), "[CLS] question [SEP] context [PAD]"),
        (templated("[CLS] $B [SEP] $A:1 [SEP]:1"), "[CLS] context [SEP] question [SEP]"),
        (Tokenizer(BPE({"a": 0, "b": 1}, [])), "question context"),
        (Tokenizer(BPE({"c": 0}, [])), "nothing"),
    ],
    ids=[
        "RoBERTa",
        "T5",
        "XLNet",
        "no [CLS]",
        "no [SEP] at the end",
        "another end",
        "context first",
        "no template",
        "no tokens",
    ],
)
def test_another_template_is_refused_in_its_own_words(
    tmp_path: Path, tokenizer: Tokenizer, seen: str
) -> None:
    message = (
        rf"tokenizer\.json: pairs are encoded as {re.escape(seen)}; "
        r"only the BERT family is supported: "
        r"\[CLS\] question \[SEP\] context \[SEP\]$"
    )
    with pytest.raises(BundleError, match=message):
        opened(tokenizer, tmp_path)


@pytest.mark.parametrize(
    ("pair", "types"),
    [
        ("[CLS] $A [SEP] $B:1 [SEP]", "[0, 0, 0, 1, 0]"),
        ("[CLS]:2 $A [SEP] $B:1 [SEP]:1", "[2, 0, 0, 1, 1]"),
        ("[CLS]:1 $A:1 [SEP]:1 $B [SEP]", "[1, 1, 1, 0, 0]"),
        ("[CLS] $A [SEP] $B:2 [SEP]:2", "[0, 0, 0, 2, 2]"),
    ],
)
def test_other_token_types_are_refused(tmp_path: Path, pair: str, types: str) -> None:
    with pytest.raises(BundleError, match=rf"token types {re.escape(types)} .* BERT family"):
        opened(templated(pair), tmp_path)


def test_padding_on_the_left_is_refused(tmp_path: Path) -> None:
    tokenizer = bert_tokenizer(list(WORDS))
    tokenizer.enable_padding(direction="left")
    with pytest.raises(BundleError, match=r"tokenizer\.json: pads on the left"):
        opened(tokenizer, tmp_path)


def test_padding_on_the_right_is_not_padded_here(tmp_path: Path) -> None:
    tokenizer = bert_tokenizer(list(WORDS))
    tokenizer.enable_padding(length=16)
    assert len(opened(tokenizer, tmp_path).tokenize_context("a b").ids) == 2


def test_a_vocabulary_without_its_unknown_word_is_refused(tmp_path: Path) -> None:
    ids = {token: number for number, token in enumerate(["[CLS]", "[SEP]", "a", "b"])}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.post_processor = BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    with pytest.raises(BundleError, match=r"\[UNK\], for unknown words, is not in the vocabulary"):
        opened(tokenizer, tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe", b'{"model": 5}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    directory = write_bundle(tmp_path / "bundle")
    bundle = open_bundle(directory)
    (directory / "tokenizer.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        Windower(bundle, max_tokens=32)


# What tokens cover.


def with_template(tokenizer: Tokenizer) -> Tokenizer:
    """BERT's template around another family's way to split texts."""
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
    )
    return tokenizer


def albert_tokenizer() -> Tokenizer:
    pieces = ["[CLS]", "[SEP]", "<unk>", "▁", *"abcdefghij,-"]
    tokenizer = Tokenizer(Unigram([(piece, -1.0) for piece in pieces], unk_id=2))
    tokenizer.pre_tokenizer = Metaspace()
    return with_template(tokenizer)


def byte_level_tokenizer() -> Tokenizer:
    pieces = ["[CLS]", "[SEP]", *sorted(ByteLevel.alphabet()), "Ġc"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(BPE(ids, [("Ġ", "c")]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return with_template(tokenizer)


def forgetful_tokenizer() -> Tokenizer:
    ids = {piece: number for number, piece in enumerate(["[CLS]", "[SEP]", *"abcdefghij"])}
    tokenizer = Tokenizer(BPE(ids, []))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return with_template(tokenizer)


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (albert_tokenizer(), "its token '▁' covers ' ' of the text 'ab  cd, ef"),
        (byte_level_tokenizer(), "its token 'Ġ' covers ' ' of the text"),
        (forgetful_tokenizer(), "no token covers ',' of the text"),
    ],
    ids=["metaspace", "byte level", "without an unknown token"],
)
def test_tokens_that_cover_other_than_words_are_refused(
    tmp_path: Path, tokenizer: Tokenizer, message: str
) -> None:
    with pytest.raises(BundleError) as caught:
        opened(tokenizer, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_embeddings_need_no_offsets(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle", tokenizer=albert_tokenizer()))
    (window,) = TextWindower(bundle, max_tokens=32).split("ab", max_windows=1)
    assert (window.ids[0], window.ids[-1]) == (0, 1)
