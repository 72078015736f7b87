"""A model directory's tokenizer as a bundle has it: one tokenizer.json.

Takes the published file as it is, or builds WordPiece from vocab.txt. What the worker can read
with is decided where it opens the file (`worker.inference.tokenizer`), and asked here.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from worker.inference.tokenizer import open_tokenizer, pair_template
from worker.model_tools.errors import TokenizerError
from worker.model_tools.tokenizer.config import CONFIG, TokenizerConfig, read_tokenizer_config
from worker.model_tools.tokenizer.vocabulary import CaseStatistics, case_statistics, read_vocabulary
from worker.models.bundle import BundleError
from worker.models.manifest import TOKENIZER

VOCABULARY = "vocab.txt"

_OTHERS = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "merges.txt",
    "bpe.codes",
)
"""What models of other families keep their vocabulary in."""

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
"""The classes of transformers that do with a vocab.txt what BERT does. Others cut texts into words
in ways of their own first (BertJapanese, RoFormer) or have another template (MPNet, Funnel)."""


@dataclass(frozen=True, slots=True)
class MadeTokenizer:
    """A tokenizer.json for a bundle.

    content     the file's bytes
    max_tokens  the longest input that the directory's files allow, or None where they do not say
    notes       what was decided here and could be wrong, a line each, for whoever makes the bundle
    """

    content: bytes
    max_tokens: int | None
    notes: tuple[str, ...] = ()


def make_tokenizer(directory: Path) -> MadeTokenizer:
    """The directory's tokenizer. Raises `TokenizerError` where it has none that can be read with.

    tokenizer.json goes first; vocab.txt is built from only where there is no such file.
    """
    if (directory / TOKENIZER).is_file():
        return _published(directory)
    if (directory / VOCABULARY).is_file():
        return from_vocabulary(directory)
    others = [name for name in _OTHERS if (directory / name).is_file()]
    if others:
        raise TokenizerError(
            f"{directory}: {', '.join(others)} is of SentencePiece or BPE, as RoBERTa and XLM-R "
            f"have it; only the BERT family is read, from {TOKENIZER} or {VOCABULARY}"
        )
    raise TokenizerError(f"{directory}: {TOKENIZER} is missing, and {VOCABULARY} too")


def from_vocabulary(directory: Path) -> MadeTokenizer:
    """WordPiece from vocab.txt and what tokenizer_config.json says. Raises `TokenizerError`.

    The parts and their settings are those that transformers' BertTokenizerFast makes. Where the
    files do not say whether case and accents are kept, the vocabulary does, and a note tells.
    """
    config = _readable_config(directory)
    name = (config.tokenizer_class or "BertTokenizer").removesuffix("Fast")
    if name not in _WORDPIECE:
        raise TokenizerError(
            f"{directory / CONFIG}: {config.tokenizer_class} does more with {VOCABULARY} than "
            f"BERT's WordPiece; a {TOKENIZER} is needed, and there is none"
        )
    path = directory / VOCABULARY
    vocabulary = read_vocabulary(path)
    missing = [token for token in config.required if token not in vocabulary]
    if missing:
        raise TokenizerError(f"{path}: {', '.join(missing)} is not in it; BERT has it there")
    cls, sep = config.cls_token.content, config.sep_token.content
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=config.unk_token.content))
    tokenizer.normalizer, notes = _normalizer(path, config, case_statistics(vocabulary))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
    )
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    _add_tokens(tokenizer, config, directory)
    return MadeTokenizer(tokenizer.to_str(pretty=True).encode(), config.max_tokens, notes)


def _published(directory: Path) -> MadeTokenizer:
    path = directory / TOKENIZER
    config = _readable_config(directory)
    try:
        pair_template(open_tokenizer(path), path)
    except BundleError as error:
        raise TokenizerError(str(error)) from None
    content = path.read_bytes()
    normalizer = json.loads(content).get("normalizer") or {}
    notes = tuple(
        f"{CONFIG} says {field} {wanted}, and transformers does so; {TOKENIZER} says "
        f"{normalizer[part]}, and is used here"
        for field, part in (
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        )
        if field in config.model_fields_set
        and part in normalizer
        and (wanted := getattr(config, field)) != normalizer[part]
    )
    return MadeTokenizer(content, config.max_tokens, notes)


def _readable_config(directory: Path) -> TokenizerConfig:
    config = read_tokenizer_config(directory)
    if config.padding_side == "left":
        raise TokenizerError(
            f"{directory / CONFIG}: padding_side is left, which moves [CLS] off position 0; only "
            "the BERT family is read, which pads on the right"
        )
    return config


def _normalizer(
    path: Path, config: TokenizerConfig, found: CaseStatistics
) -> tuple[BertNormalizer, tuple[str, ...]]:
    """BERT's, with what was decided from the vocabulary alone as notes."""
    lowercase, strip_accents = config.do_lower_case, config.strip_accents
    notes = []
    seen = f"{path.name}: {found.capitals:.1%} of its pieces have capitals"
    if lowercase is None:
        lowercase = found.lowercase
        kept = "lower-cased" if lowercase else "left in their case"
        notes.append(f"no file says do_lower_case; texts are {kept}: {seen}")
        if lowercase and found.keeps_accents and "strip_accents" not in config.model_fields_set:
            strip_accents = False
            notes.append(
                f"no file says strip_accents; accents are kept: {found.accents:.1%} of the pieces "
                "have them"
            )
    elif lowercase != found.lowercase:
        notes.append(f"{CONFIG} says do_lower_case {lowercase}, but {seen}")
    normalizer = BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.tokenize_chinese_chars,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    return normalizer, tuple(notes)


def _add_tokens(tokenizer: Tokenizer, config: TokenizerConfig, directory: Path) -> None:
    """The special tokens, and those that were added behind the vocabulary's last id."""
    for number, token in config.added_tokens():
        known = tokenizer.token_to_id(token.content) is not None
        if number is None and not known:
            # [MASK], which reading never needs.
            continue
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        got = tokenizer.token_to_id(token.content)
        if number is not None and got != number:
            raise TokenizerError(
                f"{directory}: the added token {token.content!r} is to be {number}, but with "
                f"{VOCABULARY} it is {got}"
            )
