"""Can every gold answer be produced? Context to tokens and back, in each language of XQuAD.

`python -m tests.parity.xquad TOKENIZER_DIR... --data XQUAD_DIR [--examples N]`

Encodes each context as the worker does (`Windower.tokenize_context`), takes the tokens that the
gold answer touches, and decodes their offsets. A gold answer lies on word borders where its first
character begins a word and its last one ends a word; a word is what `tests.parity.words` says: a
run of letters between white space, each punctuation character and each CJK ideograph a word of
its own. Those must come back character by character, or the exit code is 1.

Answers that do not lie on word borders come back where a token happens to begin and end there.
With `align_to_words` spans grow to whole words, as in the pipeline: how many answers that leaves
as they are, and by how many characters it lengthens the others, is the table's right half.
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
    """An answer as the file has it: its text, and where in the context it starts."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Passage:
    context: str
    golds: tuple[Gold, ...]


@dataclass
class Found:
    """What became of the gold answers of one file with one tokenizer."""

    total: int = 0
    on_words: int = 0
    on_words_back: int = 0
    back: int = 0
    aligned_back: int = 0
    gold_lengths: list[int] = field(default_factory=list)
    aligned_lengths: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    """Why those that did not come back did not: they end inside a token; their edge is a character
    that no token has; the file's offset is wrong."""
    examples: list[str] = field(default_factory=list)
    """Those that lay on word borders and did not come back."""

    def count(self, passage: Passage, gold: Gold, words: Words, encoded: EncodedContext) -> None:
        text = passage.context
        self.total += 1
        if text[gold.start : gold.end] != gold.text:
            self.lost["misplaced"] += 1
            return
        on_words = gold.start in words.starts and gold.end in words.ends
        self.on_words += on_words
        span, aligned = decoded(encoded, gold)
        if span == (gold.start, gold.end):
            self.back += 1
            self.on_words_back += on_words
        else:
            outside = gold.start < span[0] or span[1] < gold.end
            self.lost["bare edge" if outside else "in a token"] += 1
            if on_words:
                around = text[max(0, gold.start - 10) : gold.end + 10]
                self.examples.append(f"{gold.text!r} as {text[slice(*span)]!r} in {around!r}")
        self.aligned_back += aligned == (gold.start, gold.end)
        self.gold_lengths.append(len(gold.text))
        self.aligned_lengths.append(aligned[1] - aligned[0])


def decoded(encoded: EncodedContext, gold: Gold) -> tuple[tuple[int, int], tuple[int, int]]:
    """Start and end of the tokens with a character of the answer, and of their words. Both empty,
    at 0, where there is no such token.
    """
    places = np.flatnonzero((encoded.ends > gold.start) & (encoded.starts < gold.end))
    if not len(places):
        return (0, 0), (0, 0)
    first, last = places[0], places[-1]
    begin, stop = encoded.word_first[first], encoded.word_last[last]
    return (
        (int(encoded.starts[first]), int(encoded.ends[last])),
        (int(encoded.starts[begin]), int(encoded.ends[stop])),
    )


def load_passages(path: Path) -> Iterator[Passage]:
    """The paragraphs of a SQuAD v1.1 file."""
    for article in json.loads(path.read_bytes())["data"]:
        for paragraph in article["paragraphs"]:
            answers = [answer for entry in paragraph["qas"] for answer in entry["answers"]]
            yield Passage(
                paragraph["context"],
                tuple(Gold(answer["text"], answer["answer_start"]) for answer in answers),
            )


def windower_of(directory: Path, scratch: Path) -> Windower:
    """The worker's own, over a bundle with the directory's tokenizer."""
    tokenizer = Tokenizer.from_str(build_tokenizer(directory).content.decode())
    return Windower(
        open_bundle(write_bundle(scratch / directory.name, tokenizer=tokenizer)), max_tokens=32
    )


def table_of(name: str, rows: Sequence[tuple[str, Found]]) -> Table:
    title = Text(f"gold answers from the tokens of {name}")
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("language", no_wrap=True)
    for column in (
        "gold",
        "on word borders",
        "of these back",
        "of all back",
        "aligned unchanged",
        "mean length",
        "aligned",
        "longer",
        "median",
        "95%",
        "most",
    ):
        table.add_column(column, justify="right")
    table.add_column("not back", no_wrap=True)
    for language, found in rows:
        pairs = zip(found.gold_lengths, found.aligned_lengths, strict=True)
        grown = [aligned - gold for gold, aligned in pairs if aligned > gold] or [0]
        table.add_row(
            language,
            f"{found.total}",
            f"{found.on_words / found.total:.2%}",
            f"{found.on_words_back / max(found.on_words, 1):.2%}",
            f"{found.back / found.total:.2%}",
            f"{found.aligned_back / found.total:.2%}",
            f"{np.mean(found.gold_lengths):.1f}",
            f"{np.mean(found.aligned_lengths):.1f}",
            f"{np.count_nonzero(grown)}",
            *(f"{np.percentile(grown, share):.0f}" for share in (50, 95, 100)),
            ", ".join(f"{count} {reason}" for reason, count in found.lost.items()),
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", type=Path, nargs="+", metavar="TOKENIZER_DIR")
    parser.add_argument("--data", type=Path, required=True, help="holds xquad.<language>.json")
    parser.add_argument("--examples", type=int, default=3, help="failures shown for each language")
    arguments = parser.parse_args()
    files = sorted(arguments.data.glob("xquad.*.json"))
    if not files:
        parser.error(f"{arguments.data} holds no xquad.<language>.json")
    failed = False
    with tempfile.TemporaryDirectory() as scratch, progress() as bar:
        task = bar.add_task("", total=len(files) * len(arguments.directories), speed="")
        for directory in arguments.directories:
            windower = windower_of(directory, Path(scratch))
            rows = []
            for file in files:
                language = file.name.split(".")[1]
                bar.update(task, description=f"{directory.name}, {language}")
                found = Found()
                for passage in load_passages(file):
                    encoded = windower.tokenize_context(passage.context)
                    words = words_of(passage.context)
                    for gold in passage.golds:
                        found.count(passage, gold, words, encoded)
                rows.append((language, found))
                bar.advance(task)
            out.print(table_of(directory.name, rows))
            for language, found in rows:
                failed |= found.on_words_back < found.on_words
                for example in found.examples[: arguments.examples]:
                    out.print(f"{language}: {example}", markup=False)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
