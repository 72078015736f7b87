"""Checks that spans of tokens can reproduce the gold answers in each language of XQuAD.

`python -m tests.parity.xquad TOKENIZER_DIR... --data XQUAD_DIR [--examples N]`

Encodes each context as the worker does (`Windower.tokenize_context`), takes the tokens that overlap
the gold answer, and converts them back to text by their offsets. A gold answer is on word borders
if its first character starts a word and its last character ends one; `tests.parity.words` defines
words. The exit code is 1 if an answer on word borders is not reproduced exactly.

Other answers are reproduced only if a token starts and a token ends at their edges. With
`align_to_words` spans are extended to whole words, as in the pipeline. The right half of the table
shows how many answers remain unchanged, and by how many characters the others are longer.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text
from tokenizers import Tokenizer

from tests.inference.bundles import write_bundle
from tests.parity.words import Words, words_of
from worker.cli.terminal import out, progress
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.model_tools.tokenizer.build import build_tokenizer
from worker.models.bundle import open_bundle


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer: its text, and its offset in the context in code points."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Passage:
    """A context with all gold answers of its questions."""

    context: str
    golds: tuple[Gold, ...]


@dataclass
class Counts:
    """Numbers of gold answers of one file with one tokenizer, by result."""

    total: int = 0
    on_words: int = 0
    """Answers on word borders."""
    on_words_reproduced: int = 0
    reproduced: int = 0
    aligned_equal: int = 0
    """Answers that `align_to_words` does not change."""
    gold_lengths: list[int] = field(default_factory=list)
    """Lengths of answers in characters; `aligned_lengths` are those with `align_to_words`."""
    aligned_lengths: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    """Answers that are not reproduced, by reason: an edge is inside a token, the character at an
    edge is in no token, or the file's offset is wrong."""
    examples: list[str] = field(default_factory=list)
    """Answers on word borders that are not reproduced."""

    def add(self, passage: Passage, gold: Gold, words: Words, encoded: EncodedContext) -> None:
        """Adds one gold answer of the passage."""
        text = passage.context
        self.total += 1
        if text[gold.start : gold.end] != gold.text:
            self.lost["wrong offset"] += 1
            return
        on_words = gold.start in words.starts and gold.end in words.ends
        self.on_words += on_words
        span, aligned = decoded(encoded, gold)
        if span == (gold.start, gold.end):
            self.reproduced += 1
            self.on_words_reproduced += on_words
        else:
            outside = gold.start < span[0] or span[1] < gold.end
            self.lost["edge without a token" if outside else "inside a token"] += 1
            if on_words:
                around = text[max(0, gold.start - 10) : gold.end + 10]
                self.examples.append(f"{gold.text!r} as {text[slice(*span)]!r} in {around!r}")
        self.aligned_equal += aligned == (gold.start, gold.end)
        self.gold_lengths.append(len(gold.text))
        self.aligned_lengths.append(aligned[1] - aligned[0])


def decoded(encoded: EncodedContext, gold: Gold) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns (start, end) of the tokens that overlap the answer, and (start, end) of their words.

    Both are (0, 0) without such a token.
    """
    tokens = np.flatnonzero((encoded.ends > gold.start) & (encoded.starts < gold.end))
    if not len(tokens):
        return (0, 0), (0, 0)
    first, last = tokens[0], tokens[-1]
    word_first, word_last = encoded.word_first[first], encoded.word_last[last]
    return (
        (int(encoded.starts[first]), int(encoded.ends[last])),
        (int(encoded.starts[word_first]), int(encoded.ends[word_last])),
    )


def load_passages(path: Path) -> Iterator[Passage]:
    """Yields the paragraphs of a SQuAD v1.1 file."""
    for article in json.loads(path.read_bytes())["data"]:
        for paragraph in article["paragraphs"]:
            answers = [answer for entry in paragraph["qas"] for answer in entry["answers"]]
            yield Passage(
                paragraph["context"],
                tuple(Gold(answer["text"], answer["answer_start"]) for answer in answers),
            )


def windower_of(directory: Path, scratch: Path) -> Windower:
    """Returns the worker's `Windower` for a bundle with the directory's tokenizer."""
    tokenizer = Tokenizer.from_str(build_tokenizer(directory).content.decode())
    return Windower(
        open_bundle(write_bundle(scratch / directory.name, tokenizer=tokenizer)), max_tokens=32
    )


def table_of(name: str, rows: Sequence[tuple[str, Counts]]) -> Table:
    title = Text(f"gold answers reproduced from the tokens of {name}")
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("language", no_wrap=True)
    for column in (
        "gold",
        "on word borders",
        "of these reproduced",
        "of all reproduced",
        "unchanged by alignment",
        "mean length",
        "aligned",
        "longer",
        "median",
        "95%",
        "maximum",
    ):
        table.add_column(column, justify="right")
    table.add_column("not reproduced", no_wrap=True)
    for language, counts in rows:
        pairs = zip(counts.gold_lengths, counts.aligned_lengths, strict=True)
        added = [aligned - gold for gold, aligned in pairs if aligned > gold] or [0]
        table.add_row(
            language,
            f"{counts.total}",
            f"{counts.on_words / counts.total:.2%}",
            f"{counts.on_words_reproduced / max(counts.on_words, 1):.2%}",
            f"{counts.reproduced / counts.total:.2%}",
            f"{counts.aligned_equal / counts.total:.2%}",
            f"{np.mean(counts.gold_lengths):.1f}",
            f"{np.mean(counts.aligned_lengths):.1f}",
            f"{np.count_nonzero(added)}",
            *(f"{np.percentile(added, percentile):.0f}" for percentile in (50, 95, 100)),
            ", ".join(f"{count} {reason}" for reason, count in counts.lost.items()),
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", type=Path, nargs="+", metavar="TOKENIZER_DIR")
    parser.add_argument("--data", type=Path, required=True, help="has xquad.<language>.json")
    parser.add_argument("--examples", type=int, default=3, help="failures shown by language")
    arguments = parser.parse_args()
    files = sorted(arguments.data.glob("xquad.*.json"))
    if not files:
        parser.error(f"{arguments.data} has no xquad.<language>.json")
    failed = False
    with tempfile.TemporaryDirectory() as scratch, progress() as bar:
        task = bar.add_task("", total=len(files) * len(arguments.directories), speed="")
        for directory in arguments.directories:
            windower = windower_of(directory, Path(scratch))
            rows = []
            for file in files:
                language = file.name.split(".")[1]
                bar.update(task, description=f"{directory.name}, {language}")
                counts = Counts()
                for passage in load_passages(file):
                    encoded = windower.tokenize_context(passage.context)
                    words = words_of(passage.context)
                    for gold in passage.golds:
                        counts.add(passage, gold, words, encoded)
                rows.append((language, counts))
                bar.advance(task)
            out.print(table_of(directory.name, rows))
            for language, counts in rows:
                failed |= counts.on_words_reproduced < counts.on_words
                for example in counts.examples[: arguments.examples]:
                    out.print(f"{language}: {example}", markup=False)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
