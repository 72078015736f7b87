"""Tokenizers built from vocab.txt beside the published ones, on every text of SQuAD-like files.

`python -m tests.parity.vocabularies DIR... --texts FILE_OR_DIR... [--against transformers]`

Each DIR is a model directory with a vocab.txt. What `worker.model_tools.tokenizer.build` builds
from it is held against the tokenizer.json of DIR; `--against transformers` holds it against the
tokenizer of `BertTokenizerFast.from_pretrained(DIR)` (in the environment of `make parity`), which
needs no tokenizer.json.
Contexts and questions are encoded as pairs with themselves, so that the template is compared too.
Any difference is shown, and makes the exit code 1.
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
    """How many texts came out otherwise, by field; and the first of them."""

    tokens: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    first: str | None = None

    def count(self, text: str, built: Tokenizer, reference: Tokenizer) -> None:
        ours, theirs = built.encode(text, text), reference.encode(text, text)
        self.tokens += len(theirs.ids)
        for name in FIELDS:
            if getattr(ours, name) != getattr(theirs, name):
                self.counts[name] += 1
                self.first = self.first or text


def published(directory: Path) -> Tokenizer:
    """The directory's tokenizer.json."""
    file = directory / TOKENIZER
    if not file.is_file():
        raise BundleError(f"{file} is missing: compare --against transformers")
    return Tokenizer.from_file(str(file))


def of_transformers(directory: Path) -> Tokenizer:
    """What transformers makes of the directory, tokenizer.json or not."""
    from transformers import BertTokenizerFast

    tokenizer: Tokenizer = BertTokenizerFast.from_pretrained(directory).backend_tokenizer
    return tokenizer


REFERENCES = {TOKENIZER: published, "transformers": of_transformers}


def texts_of(places: Iterable[Path]) -> list[str]:
    """Every context and question of the files, once, in their order. Raises `DataError`."""
    files = [
        file
        for place in places
        for file in (sorted(place.glob("*.json")) if place.is_dir() else [place])
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
    for name, found in rows:
        counts = (f"{found.counts[field]}" for field in FIELDS)
        table.add_row(name, f"{found.tokens}", *counts)
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
            found = Differences()
            for text in track(texts, description=directory.name, console=err):
                found.count(text, built, reference)
            rows.append((directory.name, found))
    except (BundleError, DataError, OSError) as error:
        parser.error(str(error))
    out.print(table_of(rows, len(texts), arguments.against))
    for name, found in rows:
        if found.first is not None:
            out.print(f"{name}: the first is {found.first[:80]!r}", markup=False)
    raise SystemExit(any(any(found.counts.values()) for _, found in rows))


if __name__ == "__main__":
    main()
