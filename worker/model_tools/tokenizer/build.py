"""Builds the tokenizer.json of a bundle from a model's directory.

Uses the published tokenizer.json unchanged, or builds WordPiece from vocab.txt. Which tokenizers
the worker can use is decided by `worker.inference.tokenizer`, which opens them.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

from worker.inference.tokenizer import open_tokenizer, pair_template
from worker.model_tools.sentence_transformers.settings import read_text_settings
from worker.model_tools.tokenizer.config import (
    TOKENIZER_CONFIG,
    TokenizerConfig,
    read_tokenizer_config,
)
from worker.model_tools.tokenizer.vocabulary import read_vocabulary
from worker.models.bundle import BundleError
from worker.models.manifest import TOKENIZER

VOCABULARY = "vocab.txt"

_OTHER_VOCABULARIES = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "merges.txt",
    "bpe.codes",
)
"""Vocabulary files of other model families."""

_WORDPIECE = frozenset(
    {
        "BertTokenizer",
        "ConvBertTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "MobileBertTokenizer",
        "SqueezeBertTokenizer",
    }
)
"""The classes of transformers that use vocab.txt as BERT does. Others split texts into words in
their own way first (BertJapanese, RoFormer) or have another template (MPNet, Funnel)."""


@dataclass(frozen=True, slots=True)
class BuiltTokenizer:
    """A tokenizer.json for a bundle.

    content     the file's bytes
    max_tokens  the longest input that the directory's files allow; None if they set no limit
    notes       choices that the user should check, a line each
    """

    content: bytes
    max_tokens: int | None
    notes: tuple[str, ...] = ()


def build_tokenizer(directory: Path) -> BuiltTokenizer:
    """The directory's tokenizer: tokenizer.json, or else one built from vocab.txt.

    Raises `BundleError` if the worker cannot use it.
    """
    if (directory / TOKENIZER).is_file():
        return _with_text_settings(_published(directory), directory)
    if (directory / VOCABULARY).is_file():
        return _with_text_settings(build_from_vocabulary(directory), directory)
    others = [name for name in _OTHER_VOCABULARIES if (directory / name).is_file()]
    if others:
        raise BundleError(
            f"{directory}: {', '.join(others)} is of SentencePiece or BPE, as RoBERTa and XLM-R "
            f"have it; only the BERT family is supported, with {TOKENIZER} or {VOCABULARY}"
        )
    raise BundleError(f"{directory}: {TOKENIZER} is missing, and {VOCABULARY} too")


def build_from_vocabulary(directory: Path) -> BuiltTokenizer:
    """WordPiece from vocab.txt and tokenizer_config.json. Raises `BundleError`.

    The settings and their defaults are those of transformers' BertTokenizerFast.
    """
    config = _supported_config(directory)
    name = (config.tokenizer_class or "BertTokenizer").removesuffix("Fast")
    if name not in _WORDPIECE:
        raise BundleError(
            f"{directory / TOKENIZER_CONFIG}: {config.tokenizer_class} does more with {VOCABULARY} "
            f"than BERT's WordPiece; it needs a {TOKENIZER}, which is missing"
        )
    path = directory / VOCABULARY
    vocabulary = read_vocabulary(path)
    missing = [token for token in config.required if token not in vocabulary]
    if missing:
        raise BundleError(f"{path}: lacks {', '.join(missing)}, which BERT needs")
    tokenizer = BertWordPieceTokenizer(
        vocabulary,
        unk_token=config.unk_token.content,
        sep_token=config.sep_token.content,
        cls_token=config.cls_token.content,
        pad_token=config.pad_token.content,
        mask_token=config.mask_token.content,
        handle_chinese_chars=config.tokenize_chinese_chars,
        strip_accents=config.strip_accents,
        lowercase=config.do_lower_case,
    )
    _add_tokens(tokenizer, config, directory)
    notes: tuple[str, ...] = ()
    if "do_lower_case" not in config.model_fields_set:
        notes = (
            f"no file sets do_lower_case, so texts are lower-cased, as transformers does; for a "
            f'cased model put {{"do_lower_case": false}} into {TOKENIZER_CONFIG}',
        )
    return BuiltTokenizer(tokenizer.to_str(pretty=True).encode(), config.max_tokens, notes)


def _published(directory: Path) -> BuiltTokenizer:
    path = directory / TOKENIZER
    config = _supported_config(directory)
    pair_template(open_tokenizer(path), path)
    content = path.read_bytes()
    normalizer = json.loads(content).get("normalizer") or {}
    notes = tuple(
        f"{TOKENIZER_CONFIG} has {field} {configured}, which transformers applies; {TOKENIZER} has "
        f"{normalizer[key]}, which is used here"
        for field, key in (
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        )
        if field in config.model_fields_set
        and key in normalizer
        and (configured := getattr(config, field)) != normalizer[key]
    )
    return BuiltTokenizer(content, config.max_tokens, notes)


def _with_text_settings(built: BuiltTokenizer, directory: Path) -> BuiltTokenizer:
    """The tokenizer that does what sentence-transformers does to a text before its own."""
    settings = read_text_settings(directory)
    content = json.loads(built.content)
    normalizer = content.get("normalizer")
    if settings.lowercase and not (normalizer or {}).get("lowercase"):
        steps = [{"type": "Lowercase"}, *([normalizer] if normalizer else [])]
        content["normalizer"] = {"type": "Sequence", "normalizers": steps}
        built = replace(built, content=json.dumps(content, indent=2, ensure_ascii=False).encode())
    return replace(
        built,
        max_tokens=settings.max_tokens or built.max_tokens,
        notes=(*built.notes, *settings.notes),
    )


def _supported_config(directory: Path) -> TokenizerConfig:
    config = read_tokenizer_config(directory)
    if config.padding_side == "left":
        raise BundleError(
            f"{directory / TOKENIZER_CONFIG}: padding_side is left, which moves [CLS] off position "
            "0; only the BERT family is supported, which pads on the right"
        )
    return config


def _add_tokens(
    tokenizer: BertWordPieceTokenizer, config: TokenizerConfig, directory: Path
) -> None:
    """Add the tokens behind the vocabulary's last id, and check their ids."""
    for expected, token in config.added_tokens():
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        actual = tokenizer.token_to_id(token.content)
        if actual != expected:
            raise BundleError(
                f"{directory}: the added token {token.content!r} must have the id {expected}, but "
                f"with {VOCABULARY} it has {actual}"
            )
