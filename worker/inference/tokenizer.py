"""Opens tokenizers, and checks that they encode texts and pairs as the BERT family does.

Tokenizers are judged by what they do to a few texts, not by their names.
"""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordPiece

from worker.models.bundle import BundleError

_PROBE = "ab  cd, ef\ngh-ij"
"""Words with one space, two, a line break and punctuation between them."""


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The ids of [CLS] and [SEP], and the token type of the context and its [SEP].

    That type is 1 for BERT. A tokenizer that gives 0 to both texts did so in training too, so the
    model gets 0.
    """

    cls: int
    sep: int
    context_type: int


def open_tokenizer(path: Path) -> Tokenizer:
    """Open a tokenizer.json without truncation, padding, or special tokens in texts.

    Raises `BundleError`.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise BundleError(f"{path}: {error}") from None
    model = tokenizer.model
    if isinstance(model, WordPiece) and tokenizer.token_to_id(model.unk_token) is None:
        # Otherwise the first word that the vocabulary lacks would raise while a record is read.
        raise BundleError(f"{path}: {model.unk_token}, for unknown words, is not in the vocabulary")
    if tokenizer.padding is not None and tokenizer.padding["direction"] == "left":
        raise BundleError(
            f"{path}: pads on the left, which moves [CLS] off position 0; "
            "only the BERT family is supported, which pads on the right"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # "[CLS]" typed by a user is text like any other.
    tokenizer.encode_special_tokens = True
    return tokenizer


def pair_template(tokenizer: Tokenizer, path: Path) -> PairTemplate:
    """BERT's template, taken from an encoded pair. Raises `BundleError` for any other template.

    `path` is the tokenizer's file, for the message.
    """
    pair = tokenizer.encode("a", "b")
    parts = _parts(pair)
    if len(parts) != 5 or parts[1::2] != ["question", "context"] or parts[2] != parts[4]:
        raise BundleError(
            f"{path}: pairs are encoded as {' '.join(parts) or 'nothing'}; only the BERT family is "
            "supported: [CLS] question [SEP] context [SEP]"
        )
    context = pair.sequence_ids.index(1)
    types = [*dict.fromkeys(pair.type_ids[:context]), *dict.fromkeys(pair.type_ids[context:])]
    if types not in ([0, 0], [0, 1]):
        raise BundleError(
            f"{path}: pairs have the token types {pair.type_ids} for {' '.join(parts)}; only the "
            "BERT family is supported: 0 up to the first [SEP], then all 1 or all 0"
        )
    return PairTemplate(cls=pair.ids[0], sep=pair.ids[-1], context_type=types[1])


def check_offsets(tokenizer: Tokenizer, path: Path) -> None:
    """Raise `BundleError` unless tokens cover their words, the whole words and nothing else.

    Answers are slices of the context by the offsets of tokens. The tokens of SentencePiece (ALBERT,
    DeBERTa-v3) and of byte-level BPE (ModernBERT) cover the space before their word. `path` is the
    tokenizer's file, for the message.
    """
    encoding = tokenizer.encode(_PROBE, add_special_tokens=False)
    covered: set[int] = set()
    for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        piece = _PROBE[start:end]
        if not piece or piece.split() != [piece]:
            raise BundleError(
                f"{path}: its token {token!r} covers {piece!r} of the text {_PROBE!r}; answers "
                "need tokens that cover nothing but their word, as those of BERT, ELECTRA, "
                "MobileBERT and SqueezeBERT do"
            )
        covered.update(range(start, end))
    lost = [mark for i, mark in enumerate(_PROBE) if not mark.isspace() and i not in covered]
    if lost:
        raise BundleError(
            f"{path}: no token covers {lost[0]!r} of the text {_PROBE!r}; answers need tokens that "
            "cover the whole text"
        )


def _parts(pair: Encoding) -> list[str]:
    """The parts of an encoded pair: special tokens by name, texts as "question" and "context"."""
    parts = []
    for sequence, run in groupby(zip(pair.sequence_ids, pair.tokens, strict=True), lambda x: x[0]):
        if sequence is None:
            parts += [token for _, token in run]
        else:
            parts.append(("question", "context")[sequence])
    return parts
