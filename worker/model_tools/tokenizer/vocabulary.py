"""Reads vocab.txt: the pieces of WordPiece, one a line, numbered from 0."""

from pathlib import Path

from worker.models.bundle import BundleError


def read_vocabulary(path: Path) -> dict[str, int]:
    """Piece to id. Raises `BundleError` if ids would differ from those of the training.

    Only line ends are removed: some pieces end in white space, which `WordPiece.read_file` of
    `tokenizers` would strip.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: not UTF-8 at byte {error.start}") from None
    lines = text.rstrip("\n").split("\n")
    if lines == [""]:
        raise BundleError(f"{path} is empty")
    vocabulary: dict[str, int] = {}
    for number, piece in enumerate(lines):
        first = vocabulary.setdefault(piece, number)
        if first != number:
            raise BundleError(f"{path}: {piece!r} is in line {first + 1} and in {number + 1}")
    return vocabulary
