"""Directories with a tokenizer as models are published with, over vocabularies of some letters."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from worker.model_tools.tokenizer.build import BuiltTokenizer

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PUNCTUATION = ".,'-#[]"
UNCASED = (
    *SPECIALS,
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *PUNCTUATION,
    "paris",
    "##able",
    "東",
    "京",
)
ACCENTED = (*UNCASED, "é", "##é", "café", "naïve", "한국어")
CASED = (*ACCENTED, *LETTERS[:26].upper(), "Paris", "Élan", "[unused1]")


def model_directory(
    directory: Path, vocabulary: Sequence[str] = UNCASED, **files: Mapping[str, Any]
) -> Path:
    """vocab.txt, and JSON files by their names without the ending."""
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    for name, content in files.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    return directory


def loaded(made: BuiltTokenizer) -> Tokenizer:
    return Tokenizer.from_str(made.content.decode())


def tokens(made: BuiltTokenizer, text: str) -> list[str]:
    return list(loaded(made).encode(text, add_special_tokens=False).tokens)


def published_json(
    vocabulary: Sequence[str], *, lowercase: bool, strip_accents: bool | None
) -> dict[str, Any]:
    """The tokenizer.json that models of the BERT family are published with."""

    def special(token: str, type_id: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    def sequence(name: str, type_id: int = 0) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": type_id}}

    single = [special("[CLS]"), sequence("A"), special("[SEP]")]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[token], "content": token, **flags, "special": True} for token in SPECIALS
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": strip_accents,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {
                token: {"id": token, "ids": [ids[token]], "tokens": [token]}
                for token in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }
