"""vocab.txt: WordPiece's pieces, one a line, numbered from 0; and what they tell of the texts that
they were made from.

Whether a model is cased is read off the pieces where nothing else says it: a name can lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers.normalizers import BertNormalizer

from worker.model_tools.errors import TokenizerError

_LOWER = BertNormalizer(
    clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True
)
_STRIP = BertNormalizer(
    clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
)

SHARE_THAT_TELLS = 0.01
"""Of the pieces with capitals: 29% in English BERT cased, 16% in multilingual cased, none in
uncased. A few may be names that someone added."""


@dataclass(frozen=True, slots=True)
class CaseStatistics:
    """How a vocabulary is written.

    capitals  share of its pieces that lower-casing would change, so that no text has them any more
    accents   share that dropping accents would change
    """

    capitals: float
    accents: float

    @property
    def lowercase(self) -> bool:
        """Texts were lower-cased before it was made."""
        return self.capitals < SHARE_THAT_TELLS

    @property
    def keeps_accents(self) -> bool:
        """Texts kept their accents, whatever their case."""
        return self.accents >= SHARE_THAT_TELLS


def read_vocabulary(path: Path) -> dict[str, int]:
    """Piece to id. Raises `TokenizerError` where ids would not be what the model was trained with.

    Lines end where Python's text files say; nothing else is cut off a piece.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path}: not UTF-8 at byte {error.start}") from None
    lines = text.rstrip("\n").split("\n")
    if lines == [""]:
        raise TokenizerError(f"{path} is empty")
    vocabulary: dict[str, int] = {}
    for number, piece in enumerate(lines):
        first = vocabulary.setdefault(piece, number)
        if first != number:
            raise TokenizerError(f"{path}: {piece!r} stands in line {first + 1} and {number + 1}")
    return vocabulary


def case_statistics(vocabulary: Mapping[str, int]) -> CaseStatistics:
    """Case and accents of the pieces, those in brackets (`[UNK]`, `<S>`) left out."""
    pieces = [piece for piece in vocabulary if (piece[:1] + piece[-1:]) not in ("[]", "<>")]
    return CaseStatistics(
        capitals=_share_changed(_LOWER, pieces), accents=_share_changed(_STRIP, pieces)
    )


def _share_changed(normalizer: BertNormalizer, pieces: list[str]) -> float:
    changed = sum(normalizer.normalize_str(piece) != piece for piece in pieces)
    return changed / max(len(pieces), 1)
