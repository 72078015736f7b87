"""Only tokenizers with BERT's template are read; others would be fed wrong, and are refused."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing, TemplateProcessing

from tests.reading.bundles import WORDS, bert_tokenizer, write_bundle
from worker.reading.bundle import BundleError, open_bundle
from worker.reading.windows import Windower


def roberta_tokenizer() -> Tokenizer:
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "Ġ"]
    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(ids, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = ByteLevel()
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def templated(pair: str) -> Tokenizer:
    tokenizer = bert_tokenizer(list(WORDS))
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=pair,
        special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[PAD]", 0)],
    )
    return tokenizer


def opened(tokenizer: Tokenizer, directory: Path) -> Windower:
    bundle = open_bundle(write_bundle(directory / "bundle", tokenizer=tokenizer))
    return Windower(bundle, max_tokens=32)


def test_berts_template_is_read(tmp_path: Path) -> None:
    windower = opened(templated("[CLS] $A [SEP] $B:1 [SEP]:1"), tmp_path)
    question = windower.encode_question("a b", max_tokens=8)
    (window,) = windower.cut(question, windower.encode_context("c"), stride=0, max_windows=1)
    a, b, c = (4 + list(WORDS).index(word) for word in "abc")
    assert window.ids.tolist() == [2, a, b, 3, c, 3]
    assert window.types.tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "pair",
    [
        "[CLS] $A [SEP] $B [SEP]",
        "[CLS] $A [SEP] $B:1 [PAD]:1",
        "$A [SEP] $B:1 [SEP]:1",
        "[CLS] $A [SEP] $B:1",
        "[CLS] $B [SEP] $A:1 [SEP]:1",
        "[CLS] $A [SEP] [SEP] $B:1 [SEP]:1",
    ],
)
def test_another_template_is_refused(tmp_path: Path, pair: str) -> None:
    with pytest.raises(BundleError, match="only the BERT family is read"):
        opened(templated(pair), tmp_path)


def test_robertas_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="only the BERT family is read"):
        opened(roberta_tokenizer(), tmp_path)


def test_a_tokenizer_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="only the BERT family is read"):
        opened(Tokenizer(BPE({"a": 0, "b": 1}, [])), tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe", b'{"model": 5}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    directory = write_bundle(tmp_path / "bundle")
    (directory / "tokenizer.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        Windower(open_bundle(directory), max_tokens=32)
