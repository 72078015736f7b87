"""A directory without a tokenizer that the worker reads with is refused, in one line."""

import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.processors import RobertaProcessing

from tests.model_tools.model_directories import (
    UNCASED,
    loaded,
    model_directory,
    published_json,
    tokens,
)
from worker.model_tools.tokenizer.build import build_from_vocabulary, build_tokenizer
from worker.models.bundle import BundleError


def without(*pieces: str) -> bytes:
    return "\n".join(piece for piece in UNCASED if piece not in pieces).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"vocab\.txt is empty"),
        (b"\n\n", r"vocab\.txt is empty"),
        (b"[PAD]\n\xff\n", r"vocab\.txt: not UTF-8 at byte 6"),
        ("\n".join([*UNCASED, "paris"]).encode(), r"'paris' is in line \d+ and in \d+"),
        (without("[CLS]"), r"vocab\.txt: lacks \[CLS\], which BERT needs"),
        (without("[SEP]"), r"lacks \[SEP\], "),
        (without("[PAD]", "[UNK]"), r"lacks \[PAD\], \[UNK\], "),
    ],
)
def test_invalid_vocabulary_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        build_tokenizer(tmp_path)


def test_crlf_line_ends_are_removed(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(UNCASED).encode())
    assert tokens(build_tokenizer(tmp_path), "paris") == ["paris"]


def test_trailing_space_belongs_to_a_piece(tmp_path: Path) -> None:
    # Cut off, it would make two pieces of one name.
    made = build_tokenizer(model_directory(tmp_path, [*UNCASED, "\u3000", "a\u00a0"]))
    assert loaded(made).token_to_id("a\u00a0") == len(UNCASED) + 1


@pytest.mark.parametrize("file", ["sentencepiece.bpe.model", "spiece.model", "merges.txt"])
def test_vocabularies_of_other_families_are_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(
        BundleError, match=rf"{re.escape(file)} is of SentencePiece or BPE, as RoBERTa"
    ):
        build_tokenizer(tmp_path)


def test_missing_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json is missing, and vocab\.txt too"):
        build_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "MPNetTokenizerFast", "FunnelTokenizer"])
def test_unsupported_tokenizer_class_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=rf"{name} does more with vocab\.txt"):
        build_tokenizer(model_directory(tmp_path, tokenizer_config={"tokenizer_class": name}))


@pytest.mark.parametrize("published", [True, False])
def test_left_padding_is_refused(tmp_path: Path, published: bool) -> None:
    config = {"padding_side": "left"}
    directory = model_directory(tmp_path, tokenizer_config=config)
    if published:
        content = published_json(UNCASED, lowercase=True, strip_accents=None)
        (directory / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"tokenizer_config\.json: padding_side is left"):
        build_tokenizer(directory)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"do_lower_case": "perhaps"}', "do_lower_case: "),
        (b'{"cls_token": {}}', r"cls_token\.content: "),
        (b'{"model_max_length": 0}', "model_max_length: "),
        (b'{"padding_side": "top"}', "padding_side: "),
    ],
)
def test_invalid_tokenizer_config_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (model_directory(tmp_path) / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(BundleError, match=rf"tokenizer_config\.json: {message}"):
        build_tokenizer(tmp_path)


def test_refusal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as raised:
        build_from_vocabulary(model_directory(tmp_path, ["a"]))
    assert "\n" not in str(raised.value)


def test_invalid_tokenizer_json_is_refused_despite_a_vocabulary(
    tmp_path: Path,
) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        build_tokenizer(model_directory(tmp_path, tokenizer={"model": 5}))


def test_tokenizer_of_another_family_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(BPE({"<s>": 0, "</s>": 1, "a": 2, "b": 3}, []))
    tokenizer.post_processor = RobertaProcessing(("</s>", 1), ("<s>", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BundleError, match="<s> question </s> </s> context </s>; only the BERT"):
        build_tokenizer(tmp_path)
