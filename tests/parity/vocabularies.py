"""Compares tokenizers built from vocab.txt with the published ones, on texts of SQuAD files.

`python -m tests.parity.vocabularies DIR... --texts FILE_OR_DIR... [--against transformers]`

Each DIR is a model directory with a vocab.txt. `worker.model_tools.tokenizer.build` builds a
tokenizer from it, which is compared with the tokenizer.json of DIR or, with
`--against transformers`, with the tokenizer of `BertTokenizerFast.from_pretrained(DIR)`. The latter
needs no tokenizer.json, but the environment of `make parity`.
Each context and question is encoded as a pair with itself, so that the template is compared too.
The exit code is 1 if there is a difference.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import track
from rich.table import Table
from tokenizers import Tokenizer

from worker.cli.terminal import err, out
from worker.model_tools.evaluation.squad import load_squad
from worker.model_tools.evaluation.squad_document import DataError
from worker.model_tools.tokenizer.build import build_from_vocabulary
from worker.models.bundle import BundleError
from worker.models.manifest import TOKENIZER

FIELDS = ("ids", "offsets", "word_ids", "type_ids")


@dataclass
class Differences:
    """Numbers of texts whose encodings differ."""

    tokens: int = 0
    """Number of compared tokens."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    """Number of texts with a difference, by field of the encoding."""
    first_text: str | None = None
    """The first text with a difference."""

    def add(self, text: str, built: Tokenizer, reference: Tokenizer) -> None:
        """Encodes a text with both tokenizers, and counts its differences."""
        actual, expected = built.encode(text, text), reference.encode(text, text)
        self.tokens += len(expected.ids)
        for name in FIELDS:
            if getattr(actual, name) != getattr(expected, name):
                self.counts[name] += 1
                self.first_text = self.first_text or text


def published(directory: Path) -> Tokenizer:
    """Returns the directory's tokenizer.json. Raises `BundleError` if it is missing."""
    file = directory / TOKENIZER
    if not file.is_file():
        raise BundleError(f"{file} is missing: compare --against transformers")
    return Tokenizer.from_file(str(file))


def of_transformers(directory: Path) -> Tokenizer:
    """Returns the tokenizer that transformers loads from the directory."""
    from transformers import BertTokenizerFast

    tokenizer: Tokenizer = BertTokenizerFast.from_pretrained(directory).backend_tokenizer
    return tokenizer


REFERENCES = {TOKENIZER: published, "transformers": of_transformers}


def texts_of(paths: Iterable[Path]) -> list[str]:
    """Returns the distinct contexts and questions of files or directories. Raises `DataError`."""
    files = [
        file
        for path in paths
        for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])
    ]
    return list(
        dict.fromkeys(
            text
            for file in files
            for example in load_squad(file)
            for text in (example.context, example.question)
        )
    )


def table_of(rows: Sequence[tuple[str, Differences]], texts: int, reference: str) -> Table:
    table = Table(title=f"built from vocab.txt, against {reference}: texts that differ, of {texts}")
    for column in ("vocabulary", "tokens", *FIELDS):
        table.add_column(column, justify="left" if column == "vocabulary" else "right")
    for name, differences in rows:
        counts = (f"{differences.counts[field]}" for field in FIELDS)
        table.add_row(name, f"{differences.tokens}", *counts)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="SQuAD-like JSON")
    parser.add_argument("--against", choices=REFERENCES, default=TOKENIZER)
    arguments = parser.parse_args()
    rows = []
    try:
        texts = texts_of(arguments.texts)
        for directory in arguments.directories:
            built = Tokenizer.from_str(build_from_vocabulary(directory).content.decode())
            reference = REFERENCES[arguments.against](directory)
            differences = Differences()
            for text in track(texts, description=directory.name, console=err):
                differences.add(text, built, reference)
            rows.append((directory.name, differences))
    except (BundleError, DataError, OSError) as error:
        parser.error(str(error))
    out.print(table_of(rows, len(texts), arguments.against))
    for name, differences in rows:
        if differences.first_text is not None:
            out.print(f"{name}: first text {differences.first_text[:80]!r}", markup=False)
    raise SystemExit(any(any(differences.counts.values()) for _, differences in rows))


if __name__ == "__main__":
    main()
