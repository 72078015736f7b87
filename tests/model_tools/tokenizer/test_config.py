"""The files beside vocab.txt configure the tokenizer; defaults are those of transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.model_tools.model_directories import (
    CASED,
    UNCASED,
    loaded,
    model_directory,
    tokens,
)
from worker.model_tools.tokenizer.build import build_tokenizer
from worker.models.bundle import BundleError


def test_case_and_accents_follow_the_config(tmp_path: Path) -> None:
    def said(**config: bool | None) -> list[str]:
        made = build_tokenizer(model_directory(tmp_path, CASED, tokenizer_config=config))
        return tokens(made, "Élan CAFÉ")

    assert said(do_lower_case=False) == ["Élan", "[UNK]"]
    assert said(do_lower_case=True) == ["e", "##l", "##a", "##n", "c", "##a", "##f", "##e"]
    assert said(do_lower_case=True, strip_accents=False)[-1:] == ["café"]
    assert said(do_lower_case=False, strip_accents=True)[-1:] == ["[UNK]"]


def test_tokenize_chinese_chars_is_applied(tmp_path: Path) -> None:
    apart = build_tokenizer(model_directory(tmp_path))
    config = {"tokenize_chinese_chars": False}
    together = build_tokenizer(model_directory(tmp_path, tokenizer_config=config))
    assert tokens(apart, "東京") == ["東", "京"]
    assert tokens(together, "東京") == ["[UNK]"]


@pytest.mark.parametrize("form", ["text", "dumped", "special_tokens_map"])
def test_special_token_names_are_read(tmp_path: Path, form: str) -> None:
    names = {"cls_token": "<cls>", "sep_token": "<sep>", "pad_token": "<0>", "unk_token": "<?>"}
    said: dict[str, Any] = dict(names)
    if form == "dumped":
        said = {role: {"content": name, "__type": "AddedToken"} for role, name in names.items()}
    file = "special_tokens_map" if form == "special_tokens_map" else "tokenizer_config"
    directory = model_directory(tmp_path, [*names.values(), "a", "b"], **{file: said})
    pair = loaded(build_tokenizer(directory)).encode("a", "x b")
    assert pair.tokens == ["<cls>", "a", "<sep>", "<?>", "b", "<sep>"]


def test_config_overrides_special_tokens_map(tmp_path: Path) -> None:
    directory = model_directory(
        tmp_path,
        [*UNCASED, "<end>"],
        special_tokens_map={"sep_token": "[MASK]"},
        tokenizer_config={"sep_token": "<end>"},
    )
    assert loaded(build_tokenizer(directory)).encode("a").tokens[-1] == "<end>"


def test_only_existing_special_tokens_are_added(tmp_path: Path) -> None:
    made = build_tokenizer(model_directory(tmp_path, [p for p in UNCASED if p != "[MASK]"]))
    added = json.loads(made.content)["added_tokens"]
    assert [entry["content"] for entry in added] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    assert all(entry["special"] for entry in added)


def added_token(content: str, **flags: bool) -> dict[str, Any]:
    return {"content": content, "lstrip": False, "rstrip": False, "special": False, **flags}


def test_added_tokens_keep_ids_and_flags(tmp_path: Path) -> None:
    end = len(UNCASED)
    decoder = {
        str(end + 1): added_token("<b>", special=True),
        str(end): added_token("<a>", lstrip=True),
        "0": added_token("[PAD]"),
        "4": added_token("[MASK]", lstrip=True, special=True),
    }
    config = {"added_tokens_decoder": decoder}
    made = build_tokenizer(model_directory(tmp_path, tokenizer_config=config))
    added = {entry["id"]: entry for entry in json.loads(made.content)["added_tokens"]}
    assert (added[end]["content"], added[end]["lstrip"], added[end]["special"]) == (
        "<a>",
        True,
        False,
    )
    assert (added[end + 1]["content"], added[end + 1]["special"]) == ("<b>", True)
    assert added[0]["special"]
    assert loaded(made).encode("x <a>", add_special_tokens=False).ids[-1] == end


def test_added_tokens_json_is_read(tmp_path: Path) -> None:
    made = build_tokenizer(model_directory(tmp_path, added_tokens={"<a>": len(UNCASED)}))
    assert loaded(made).token_to_id("<a>") == len(UNCASED)


@pytest.mark.parametrize("number", [5, len(UNCASED) + 1])
def test_added_token_with_another_id_is_refused(tmp_path: Path, number: int) -> None:
    config = {"added_tokens_decoder": {str(number): added_token("<a>")}}
    with pytest.raises(BundleError, match=rf"'<a>' must have the id {number}, .* {len(UNCASED)}$"):
        build_tokenizer(model_directory(tmp_path, tokenizer_config=config))


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"model_max_length": 384}, 384),
        ({"max_len": 256}, 256),
        # What transformers writes where it knows no limit.
        ({"model_max_length": int(1e30)}, None),
        ({}, None),
    ],
)
def test_model_max_length_is_read(
    tmp_path: Path, config: dict[str, int], limit: int | None
) -> None:
    assert build_tokenizer(model_directory(tmp_path, tokenizer_config=config)).max_tokens == limit


@pytest.mark.parametrize("name", ["BertTokenizer", "DistilBertTokenizerFast", None])
def test_bert_tokenizer_classes_are_built(tmp_path: Path, name: str | None) -> None:
    made = build_tokenizer(model_directory(tmp_path, tokenizer_config={"tokenizer_class": name}))
    assert tokens(made, "paris") == ["paris"]


def test_lower_case_default_is_noted(tmp_path: Path) -> None:
    made = build_tokenizer(model_directory(tmp_path, CASED))
    normalizer = json.loads(made.content)["normalizer"]
    assert (normalizer["lowercase"], normalizer["strip_accents"]) == (True, None)
    (note,) = made.notes
    assert "no file sets do_lower_case, so texts are lower-cased" in note


def test_null_equals_a_missing_field(tmp_path: Path) -> None:
    config = {"cls_token": None, "tokenize_chinese_chars": None, "padding_side": None}
    made = build_tokenizer(model_directory(tmp_path, tokenizer_config=config))
    assert loaded(made).encode("東京").tokens == ["[CLS]", "東", "京", "[SEP]"]
